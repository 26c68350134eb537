// The compiled config.proto with its comments (a serialized google.protobuf.FileDescriptorSet),
// embedded at build time.
#pragma once

#include <string_view>

namespace bit::schemas {

// Serialized FileDescriptorSet of schemas/config.proto and its imports, source info included. Lives
// for ever.
std::string_view config_descriptor();

}  // namespace bit::schemas
