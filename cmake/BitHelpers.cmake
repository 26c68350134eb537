# bit_library(NAME SOURCES ... LINK ...)     a folder's static library, with the project's warnings and sanitizers
# bit_executable(NAME SOURCES ... LINK ...)  a program in bin/
# bit_test(NAME LABELS ... SOURCES ... LINK ...)  a GoogleTest program whose cases are registered with CTest
include(GoogleTest)

function(bit_target_options target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Werror
                                           -fstack-protector-strong)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # GCC 12 reports false positives inside inlined standard library code at -O2.
    target_compile_options(${target} PRIVATE -Wno-restrict -Wno-stringop-overflow -Wno-array-bounds)
  endif()
  if(BIT_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${BIT_SANITIZE} -fno-omit-frame-pointer
                                             -fno-sanitize-recover=all)
    target_link_options(${target} PUBLIC -fsanitize=${BIT_SANITIZE})
    if(BIT_SANITIZE MATCHES thread)
      # LibTorch's headers use fences, which GCC's thread sanitizer does not follow and warns of.
      target_compile_options(${target} PRIVATE -Wno-tsan)
    endif()
  endif()
  target_include_directories(${target} PUBLIC ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
endfunction()

function(bit_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK;LINK_PRIVATE" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  bit_target_options(${name})
  target_link_libraries(${name} PUBLIC ${ARG_LINK} PRIVATE ${ARG_LINK_PRIVATE})
endfunction()

function(bit_executable name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  bit_target_options(${name})
  target_link_libraries(${name} PRIVATE ${ARG_LINK})
endfunction()

function(bit_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;LINK;LABELS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  bit_target_options(${name})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_link_libraries(${name} PRIVATE ${ARG_LINK} GTest::gtest GTest::gmock GTest::gtest_main)
  # PRE_TEST: cases are listed when ctest runs, so that a build needs no working sanitizer environment.
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST
                       PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT})
endfunction()
