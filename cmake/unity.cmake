# crossval_unity(TARGET files...): with CROSSVAL_UNITY the files are compiled several at once, which
# takes a third of the time: what they include is read, and its templates are instantiated, once. For
# builds from nothing (CI); where single files change, it takes longer.
option(CROSSVAL_UNITY "Compile several files of a folder as one" OFF)
function(crossval_unity target)
  if(NOT CROSSVAL_UNITY)
    return()
  endif()
  execute_process(COMMAND ${PROJECT_SOURCE_DIR}/scripts/unity_groups ${PROJECT_SOURCE_DIR}/src ${ARGN}
                  OUTPUT_VARIABLE lines COMMAND_ERROR_IS_FATAL ANY)
  string(STRIP "${lines}" lines)
  string(REPLACE "\n" ";" lines "${lines}")
  foreach(line ${lines})
    separate_arguments(words UNIX_COMMAND "${line}")
    list(GET words 0 file)
    list(GET words 1 group)
    set_source_files_properties(${file} PROPERTIES UNITY_GROUP ${group})
  endforeach()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
endfunction()
