// Any bytes as a list of each format: rows come to an end or to a DataError, and are no larger than
// what they were read from.
#include <algorithm>
#include <cstdint>
#include <span>
#include <string>

#include "pipeline/convert/list_rows.h"
#include "storage/tfrecord.h"
#include "tests/fuzz/fuzz_check.h"

namespace {

// A file of bytes; its reads may be short of what a disk would give only at the end.
class MemoryFile final : public bit::storage::ReadableFile {
 public:
  explicit MemoryFile(std::span<const std::byte> bytes) : bytes_(bytes) {}
  std::size_t read_at(std::uint64_t offset, std::span<std::byte> out) const override {
    const auto rest = bytes_.subspan(std::min<std::size_t>(offset, bytes_.size()));
    const auto part = rest.first(std::min(rest.size(), out.size()));
    std::ranges::copy(part, out.begin());
    return part.size();
  }
  std::uint64_t size() const override { return bytes_.size(); }
  const std::string& path() const override { return path_; }

 private:
  std::span<const std::byte> bytes_;
  std::string path_ = "list";
};

void read_rows(const MemoryFile& file, const bit::pipeline::ListFileOptions& options) {
  using bit::test::fuzz_check;
  std::uint64_t rows = 0;
  std::uint64_t last_line = 0;
  try {
    const auto list = bit::pipeline::open_list_rows(file, options);
    bit::pipeline::ListRow row;
    while (list->next(row)) {
      // Path, key and labels may be the same cell.
      std::uint64_t bytes = 0;
      fuzz_check(std::max(row.path.size(), row.key.size()) <= file.size() + 32,
                 "path and key are parts of the file");
      for (const std::string_view label : row.labels) {
        fuzz_check(!label.empty(), "a label is not empty");
        bytes += label.size();
      }
      // A JSON number may grow by its sign's or digits' normal form, never by much.
      fuzz_check(bytes <= file.size() + 32, "labels are a part of the file");
      fuzz_check(!row.path.empty(), "a row has a path");
      fuzz_check(row.line > last_line, "lines are counted upwards");
      fuzz_check(row.fault.size() < 1000, "a fault is told in short");
      last_line = row.line;
      fuzz_check(++rows <= file.size(), "there are no more rows than bytes");
    }
  } catch (const bit::storage::DataError& error) {
    fuzz_check(std::string(error.what()).starts_with("list:"), "an error names the file");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const MemoryFile file(std::as_bytes(std::span(data, size)));
  for (const char* path : {"list.csv", "list.tsv", "list.txt", "list.jsonl"}) {
    bit::pipeline::ListFileOptions options;
    options.path = path;
    read_rows(file, options);
    options.label_separator = ", ";
    options.columns = {{"path", "photo"}, {"key", "2"}};
    read_rows(file, options);
  }
  return 0;
}
