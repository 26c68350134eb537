# bit-shard as people run it.
bit_test(shard_cli_test
  LABELS integration
  TIMEOUT 300
  SOURCES shard_cli_test.cpp
  LINK bit_storage bit_test_support)
target_compile_definitions(shard_cli_test PRIVATE
  BIT_SHARD="$<TARGET_FILE:bit-shard>" BIT_EXAMPLES="${CMAKE_SOURCE_DIR}/examples")
add_dependencies(shard_cli_test bit-shard)
