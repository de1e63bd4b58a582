# crossval_layer(NAME [COMPUTES] KNOWS folders... [TESTS_KNOW folders...] [LIBS targets...] [PROGRAM name]):
# src/NAME from all its sources as a static library (or the program), linked to the folders it knows
# and to nothing else, and its unit tests (x_test.cc beside x.cc) as one GoogleTest program. New
# files need no edit here.
function(crossval_layer name)
  cmake_parse_arguments(LAYER "COMPUTES" "PROGRAM" "KNOWS;TESTS_KNOW;LIBS" ${ARGN})
  list(TRANSFORM LAYER_KNOWS PREPEND crossval_)
  list(TRANSFORM LAYER_TESTS_KNOW PREPEND crossval_)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cc
       ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*/*.cc)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  if(LAYER_PROGRAM)
    add_executable(${LAYER_PROGRAM} ${sources})
    crossval_unity(${LAYER_PROGRAM} ${sources})
    target_include_directories(${LAYER_PROGRAM} PRIVATE ${PROJECT_SOURCE_DIR}/src)
    target_link_libraries(${LAYER_PROGRAM} PRIVATE ${LAYER_KNOWS} ${LAYER_LIBS})
    target_compile_options(${LAYER_PROGRAM} PRIVATE ${CROSSVAL_LIGHT})
    return()
  endif()
  add_library(crossval_${name} STATIC ${sources})
  crossval_unity(crossval_${name} ${sources})
  target_include_directories(crossval_${name} PUBLIC ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(crossval_${name} PUBLIC ${LAYER_KNOWS} ${LAYER_LIBS})
  if(NOT LAYER_COMPUTES)
    target_compile_options(crossval_${name} PRIVATE ${CROSSVAL_LIGHT})
  endif()
  if(CROSSVAL_TESTS AND tests)
    add_executable(${name}_test ${tests})
    crossval_unity(${name}_test ${tests})
    target_compile_options(${name}_test PRIVATE ${CROSSVAL_LIGHT})
    target_link_libraries(${name}_test PRIVATE crossval_${name} ${LAYER_TESTS_KNOW}
                          crossval_test_support GTest::gtest_main)
    set(label unit)
    if(name MATCHES "^(base|gguf|engine|checkpoint)$")
      set(label unit-untrusted)  # what reads files from outside; `make asan` runs those
    endif()
    gtest_discover_tests(${name}_test TEST_PREFIX "${name}." DISCOVERY_TIMEOUT 60
                         PROPERTIES TIMEOUT 300 LABELS ${label})
  endif()
endfunction()
