# Writes OUT, a header with the commit of SOURCE. A checkout is asked; an archive that git made has it
# in this file; else nobody knows.
set(archived "$Format:%h$")
set(commit "")
find_package(Git QUIET)
if(GIT_FOUND AND EXISTS ${SOURCE}/.git)
  execute_process(COMMAND ${GIT_EXECUTABLE} -C ${SOURCE} rev-parse --short=12 HEAD
                  OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  execute_process(COMMAND ${GIT_EXECUTABLE} -C ${SOURCE} status --porcelain --untracked-files=no
                  OUTPUT_VARIABLE changes ERROR_QUIET)
  if(commit AND changes)
    string(APPEND commit "+")
  endif()
elseif(NOT archived MATCHES "Format")
  set(commit ${archived})
endif()
set(content "#define CROSSVAL_COMMIT \"${commit}\"\n")
if(EXISTS ${OUT})
  file(READ ${OUT} before)
endif()
if(NOT "${content}" STREQUAL "${before}")
  file(WRITE ${OUT} "${content}")
endif()
