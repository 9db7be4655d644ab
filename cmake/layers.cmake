# millrace_layer(NAME FOLDER [LINK libraries...]): one static library of the .cc files directly in src/FOLDER (and the
# folders named after SUB), and one test program NAME_tests of the *_test.cc files beside them. The *_pgtest.cc files need
# a PostgreSQL and are a program NAME_pgtests. A test_THING.cc is support for tests, of any layer: a library
# millrace_test_THING. A new file needs no registration.
find_program(MILLRACE_NICE nice)
set(MILLRACE_TEST_TIMEOUT 300)

function(millrace_layer name folder)
  cmake_parse_arguments(ARG "" "" "LINK;SUB" ${ARGN})
  set(globs ${CMAKE_SOURCE_DIR}/src/${folder}/*.cc)
  foreach(sub ${ARG_SUB})
    list(APPEND globs ${CMAKE_SOURCE_DIR}/src/${folder}/${sub}/*.cc)
  endforeach()
  file(GLOB sources CONFIGURE_DEPENDS ${globs})
  set(tests ${sources})
  set(pgtests ${sources})
  set(supports ${sources})
  list(FILTER sources EXCLUDE REGEX "_(pg)?test\\.cc$")
  list(FILTER sources EXCLUDE REGEX "/main\\.cc$")
  list(FILTER sources EXCLUDE REGEX "/test_[a-z_]+\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER pgtests INCLUDE REGEX "_pgtest\\.cc$")
  list(FILTER supports INCLUDE REGEX "/test_[a-z_]+\\.cc$")
  list(FILTER supports EXCLUDE REGEX "_(pg)?test\\.cc$")
  if(NOT sources)
    add_library(millrace_${name} INTERFACE)
    return()
  endif()
  add_library(millrace_${name} STATIC ${sources})
  target_include_directories(millrace_${name} PUBLIC ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR}/src)
  target_link_libraries(millrace_${name} PUBLIC ${ARG_LINK} Threads::Threads)
  if(MILLRACE_TESTS AND tests)
    millrace_test(${name}_tests SOURCES ${tests} LINK millrace_${name})
  endif()
  if(MILLRACE_TESTS AND pgtests)
    millrace_test(${name}_pgtests SOURCES ${pgtests} LINK millrace_${name} millrace_test_cluster LABELS postgres)
  endif()
  if(MILLRACE_TESTS)
    foreach(support ${supports})
      get_filename_component(stem ${support} NAME_WE)
      add_library(millrace_${stem} STATIC ${support})
      target_link_libraries(millrace_${stem} PUBLIC millrace_${name})
    endforeach()
  endif()
endfunction()

# millrace_test(NAME SOURCES files... LINK libraries...): a GoogleTest program, run as one ctest test.
function(millrace_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK;LABELS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LINK} GTest::gtest GTest::gmock GTest::gtest_main)
  if(TARGET rapidcheck)
    target_link_libraries(${name} PRIVATE rapidcheck rapidcheck_gtest)
  endif()
  target_compile_definitions(${name} PRIVATE MILLRACE_SOURCE_DIR="${CMAKE_SOURCE_DIR}" MILLRACE_BINARY_DIR="${CMAKE_BINARY_DIR}")
  add_test(NAME ${name} COMMAND ${name} --gtest_brief=1)
  set_tests_properties(${name} PROPERTIES TIMEOUT ${MILLRACE_TEST_TIMEOUT} LABELS "${ARG_LABELS}")
endfunction()

# millrace_embed(TARGET NAMESPACE HEADER files...): text files as constants of TARGET, in generated HEADER (included as
# "HEADER"): a file claim_lane.sql becomes NAMESPACE::kClaimLane, a std::string_view of its text.
function(millrace_embed target namespace header)
  set(out ${CMAKE_BINARY_DIR}/generated/${header})
  add_custom_command(
    OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -DOUT=${out} -DNAMESPACE=${namespace} "-DFILES=${ARGN}" -P ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
    DEPENDS ${ARGN} ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
    VERBATIM)
  target_sources(${target} PRIVATE ${out})
  target_include_directories(${target} PUBLIC ${CMAKE_BINARY_DIR}/generated)
endfunction()
