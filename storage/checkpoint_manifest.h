// MANIFEST of a checkpoint as text: protobuf text format, so that people can read it, and a last
// line with its checksum.
#pragma once

#include <string>
#include <string_view>

#include "schemas/checkpoint.pb.h"

namespace bit::storage {

// The text ends with "# crc32c of the text above: <8 hexadecimal digits>\n" (a comment to
// protobuf).
std::string print_manifest(const schemas::CheckpointManifest& manifest);

// Checks the checksum, the layout version, and that every part has a plain file name of its own, a
// size and a checksum. Throws DataError with the reason alone.
schemas::CheckpointManifest parse_manifest(std::string_view text);

}  // namespace bit::storage
