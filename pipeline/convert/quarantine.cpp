#include "pipeline/convert/quarantine.h"

#include <nlohmann/json.hpp>
#include <sstream>

namespace bit::pipeline {
namespace {

using Json = nlohmann::ordered_json;

// Whether a line speaks of `split`. A line that is not ours to understand is kept.
bool is_of_split(const std::string& line, const std::string& split) {
  const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  return json.is_object() && json.contains("split") && json["split"] == split;
}

std::string lines_of_other_splits(storage::FileSystem& files, const std::string& path,
                                  const std::string& split) {
  std::string kept;
  if (!files.exists(path)) return kept;
  std::istringstream lines(storage::read_file(files, path));
  for (std::string line; std::getline(lines, line);) {
    if (!is_of_split(line, split)) kept += line + "\n";
  }
  return kept;
}

}  // namespace

void write_quarantine(storage::FileSystem& files, const std::string& directory,
                      const std::string& split, std::span<const QuarantinedImage> images) {
  const std::string path = directory + "/quarantine.jsonl";
  std::string content = lines_of_other_splits(files, path, split);
  for (const QuarantinedImage& image : images) {
    const Json line = {{"split", split}, {"path", image.path}, {"reason", image.reason}};
    // A file name need not be UTF-8; JSON has to be.
    content += line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  }
  if (!content.empty()) {
    storage::write_file_atomically(files, path, content);
  } else if (files.exists(path)) {
    files.remove(path);
  }
}

}  // namespace bit::pipeline
