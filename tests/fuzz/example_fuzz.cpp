// Any bytes as a record: whatever protobuf's generated class accepts, the walk over the wire format
// understands the same.
#include <cstdint>
#include <span>

#include "tests/fuzz/fuzz_check.h"
#include "tests/support/example_oracle.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto walked = bit::test::outcome_of_walk(std::as_bytes(std::span(data, size)));
  bit::schemas::Example example;
  if (example.ParseFromArray(data, static_cast<int>(size))) {
    bit::test::fuzz_check(walked == bit::test::outcome_of_generated_class(example),
                          "the walk and the generated class agree");
  }
  return 0;
}
