# crossval_layer(NAME deps...): the static library of src/NAME from all its sources, and its unit
# tests (x_test.cc beside x.cc) as one GoogleTest program. New files need no edit here.
function(crossval_layer name)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cc
       ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*/*.cc)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  if(NOT sources)
    add_library(crossval_${name} INTERFACE)
    target_include_directories(crossval_${name} INTERFACE ${PROJECT_SOURCE_DIR}/src)
    target_link_libraries(crossval_${name} INTERFACE ${ARGN})
    return()
  endif()
  add_library(crossval_${name} STATIC ${sources})
  target_include_directories(crossval_${name} PUBLIC ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(crossval_${name} PUBLIC ${ARGN})
  if(CROSSVAL_TESTS AND tests)
    add_executable(${name}_test ${tests})
    target_link_libraries(${name}_test PRIVATE crossval_${name} crossval_test_support GTest::gtest_main)
    set(label unit)
    if(name MATCHES "^(base|gguf|engine)$")
      set(label untrusted)  # what reads files from outside; `make asan` runs those
    endif()
    gtest_discover_tests(${name}_test TEST_PREFIX "${name}." DISCOVERY_TIMEOUT 60
                         PROPERTIES TIMEOUT 300 LABELS ${label})
  endif()
endfunction()
