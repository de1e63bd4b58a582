# crossval_commit_header(TARGET): before each build of TARGET, crossval_commit.h says which commit the
# sources are; it is written anew only when that has changed.
function(crossval_commit_header target)
  set(folder ${PROJECT_BINARY_DIR}/generated)
  add_custom_target(${target}_commit
    COMMAND ${CMAKE_COMMAND} -D SOURCE=${PROJECT_SOURCE_DIR} -D OUT=${folder}/crossval_commit.h
            -P ${PROJECT_SOURCE_DIR}/cmake/write_commit.cmake
    BYPRODUCTS ${folder}/crossval_commit.h
    VERBATIM)
  add_dependencies(${target} ${target}_commit)
  target_include_directories(${target} PRIVATE ${folder})
endfunction()
