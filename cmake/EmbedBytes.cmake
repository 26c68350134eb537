# Writes OUTPUT, a C++ file that returns the bytes of INPUT from bit::schemas::config_descriptor().
file(READ ${INPUT} hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
file(WRITE ${OUTPUT}
"#include \"schemas/config_descriptor.h\"

namespace bit::schemas {
namespace {
constexpr unsigned char kBytes[] = {${bytes}};
}  // namespace

std::string_view config_descriptor() {
  return {reinterpret_cast<const char*>(kBytes), sizeof(kBytes)};
}

}  // namespace bit::schemas
")
