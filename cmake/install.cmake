# `make install` / `cmake --install build --prefix P`: the program under both names, what `setup`
# compiles workers from, the manual and the completions, which the program itself writes.
include(GNUInstallDirs)
set(crossval_share ${CMAKE_INSTALL_DATADIR}/crossval)

install(TARGETS crossval crossval-http-worker RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(CODE "
  file(MAKE_DIRECTORY \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}\")
  file(CREATE_LINK crossval
       \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}/crossval-per-token\" SYMBOLIC)")

# The list that src/backends/build_worker.cc compiles; it looks for them below share/crossval.
install(DIRECTORY ${PROJECT_SOURCE_DIR}/workers/llama DESTINATION ${crossval_share}/workers
        FILES_MATCHING PATTERN "*.cc" PATTERN "*.h")
install(DIRECTORY ${PROJECT_SOURCE_DIR}/workers/hf DESTINATION ${crossval_share}/workers
        FILES_MATCHING PATTERN "*.py" PATTERN "requirements.txt" PATTERN "__pycache__" EXCLUDE)
foreach(file engine/wire.cc engine/wire.h engine/worker_side.h base/error.cc base/error.h)
  get_filename_component(folder ${file} DIRECTORY)
  install(FILES ${PROJECT_SOURCE_DIR}/src/${file} DESTINATION ${crossval_share}/src/${folder})
endforeach()
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/README.md
              ${PROJECT_SOURCE_DIR}/docs/protocol.md ${PROJECT_SOURCE_DIR}/docs/json.md
        DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(generated ${PROJECT_BINARY_DIR}/generated)
install(FILES ${generated}/crossval.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${generated}/crossval.bash
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME crossval)
install(FILES ${generated}/_crossval DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(FILES ${generated}/crossval.fish
        DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
