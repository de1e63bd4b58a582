# crossval_manual(TARGET): after each link, the program writes its manual and completions.
function(crossval_manual target)
  set(generated ${PROJECT_BINARY_DIR}/generated)
  add_custom_command(TARGET ${target} POST_BUILD
    COMMAND ${CMAKE_COMMAND} -E make_directory ${generated}
    COMMAND sh -c "$<TARGET_FILE:${target}> man-page >${generated}/crossval.1"
    COMMAND sh -c "$<TARGET_FILE:${target}> completions bash >${generated}/crossval.bash"
    COMMAND sh -c "$<TARGET_FILE:${target}> completions zsh >${generated}/_crossval"
    COMMAND sh -c "$<TARGET_FILE:${target}> completions fish >${generated}/crossval.fish"
    VERBATIM)
endfunction()
