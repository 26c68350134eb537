// The page of `bit-shard inspect --html`: everything in one file, nothing from the network.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "launcher/shard_commands/contact_sheet.h"
#include "launcher/shard_commands/split_report.h"
#include "schemas/dataset.pb.h"

namespace bit::launcher {

struct PageSplit {
  SplitReport report;
  std::vector<Tile> tiles;
};

// HTML5, UTF-8; every text from the dataset is escaped.
std::string inspect_page(const schemas::DatasetManifest& manifest,
                         const std::vector<PageSplit>& splits);

// `text` for the content or a quoted attribute of an element; bytes that are not UTF-8 become
// U+FFFD, control characters too.
std::string escape_html(std::string_view text);

}  // namespace bit::launcher
