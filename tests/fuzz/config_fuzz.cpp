// Any text as a configuration and as an override: refused with mistakes that are named, or read
// back from its own print.
#include <cstdint>
#include <string>

#include "launcher/config.h"
#include "tests/fuzz/fuzz_check.h"

namespace {

using bit::launcher::ConfigError;
using bit::test::fuzz_check;

void check_mistakes(const ConfigError& error) {
  fuzz_check(!error.mistakes().empty(), "a refusal names a mistake");
  for (const auto& mistake : error.mistakes()) {
    fuzz_check(!mistake.where.empty() && !mistake.what.empty(), "a mistake says where and what");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  try {
    const auto loaded = bit::launcher::parse_config(text, "fuzz", {});
    const auto printed = bit::launcher::print_config(loaded.config);
    const auto again = bit::launcher::parse_config(printed, "printed", {});
    fuzz_check(again.config.SerializeAsString() == loaded.config.SerializeAsString(),
               "what is printed reads back to the same configuration");
  } catch (const ConfigError& error) {
    check_mistakes(error);
  }
  try {
    bit::launcher::parse_config("output: a\ndata: {path: b}\n", "fuzz", {text});
  } catch (const ConfigError& error) {
    check_mistakes(error);
  }
  bit::launcher::parse_duration(text);
  bit::launcher::parse_bytes(text);
  return 0;
}
