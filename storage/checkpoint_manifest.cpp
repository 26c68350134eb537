#include "storage/checkpoint_manifest.h"

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/text_format.h>

#include <cstdio>
#include <set>
#include <span>

#include "storage/crc32c.h"
#include "storage/tfrecord.h"

namespace bit::storage {
namespace {

constexpr std::uint32_t kFormat = 1;
constexpr std::string_view kChecksumLabel = "# crc32c of the text above: ";

std::string checksum_line(std::string_view text) {
  char digits[9] = {};
  std::snprintf(digits, sizeof digits, "%08x",
                crc32c(std::as_bytes(std::span(text.data(), text.size()))));
  return std::string(kChecksumLabel) + digits + "\n";
}

// Keeps the first error of the parser.
class FirstError final : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, int column, const std::string& message) override {
    if (!text_.empty()) return;
    text_ = "line " + std::to_string(line + 1) + ", column " + std::to_string(column + 1) + ": " +
            message;
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

void check_parts(const schemas::CheckpointManifest& manifest) {
  if (manifest.parts().empty()) throw DataError("it lists no parts");
  std::set<std::string> names;
  for (const auto& part : manifest.parts()) {
    const std::string& name = part.file();
    if (name.empty() || name[0] == '.' || name.find('/') != std::string::npos) {
      throw DataError("'" + name + "' is not the name of a part");
    }
    if (!names.insert(name).second) throw DataError("it lists " + name + " twice");
    if (!part.has_bytes() || !part.has_crc32c()) {
      throw DataError("it lists " + name + " without a size and a checksum");
    }
  }
}

}  // namespace

std::string print_manifest(const schemas::CheckpointManifest& manifest) {
  std::string text;
  google::protobuf::TextFormat::PrintToString(manifest, &text);
  return text + checksum_line(text);
}

schemas::CheckpointManifest parse_manifest(std::string_view text) {
  const std::size_t line_bytes = checksum_line("").size();
  const std::string_view body = text.substr(0, text.size() - std::min(text.size(), line_bytes));
  const std::string_view line = text.substr(body.size());
  if (!line.starts_with(kChecksumLabel)) throw DataError("it ends without its checksum");
  if (line != checksum_line(body)) throw DataError("its text does not match its checksum");

  schemas::CheckpointManifest manifest;
  FirstError error;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  google::protobuf::io::ArrayInputStream stream(body.data(), static_cast<int>(body.size()));
  if (!parser.Parse(&stream, &manifest)) throw DataError(error.text());
  if (manifest.format() != kFormat) {
    throw DataError("its layout is version " + std::to_string(manifest.format()) +
                    ", this program reads version " + std::to_string(kFormat));
  }
  if (!manifest.has_step()) throw DataError("it has no step");
  check_parts(manifest);
  return manifest;
}

}  // namespace bit::storage
