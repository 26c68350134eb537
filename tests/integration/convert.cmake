# bit-shard convert from any input, by any number of threads and ranks, killed and stopped.
bit_library(bit_convert_support
  SOURCES convert_support.cpp
  LINK bit_run_support bit_storage)

foreach(name ranks kinds images)
  add_executable(convert_${name}_test convert_${name}_test.cpp)
  bit_target_options(convert_${name}_test)
  set_target_properties(convert_${name}_test PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_link_libraries(convert_${name}_test PRIVATE
    bit_convert_support bit_pipeline GTest::gtest_main GTest::gmock ZLIB::ZLIB)
  add_dependencies(convert_${name}_test bit-shard)
  gtest_discover_tests(convert_${name}_test DISCOVERY_MODE PRE_TEST
                       PROPERTIES LABELS integration TIMEOUT 300 RUN_SERIAL ON)
endforeach()
