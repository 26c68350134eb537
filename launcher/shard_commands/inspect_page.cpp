#include "launcher/shard_commands/inspect_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <span>

#include "launcher/shard_commands/progress_line.h"

namespace bit::launcher {
namespace {

using storage::DatasetStatistics;

constexpr std::size_t kAllClasses = 60;  // shown one by one up to here,
constexpr std::size_t kEnds = 10;        // beyond it only the largest and the smallest
constexpr std::size_t kPlotColumns = 360;

constexpr const char* kHead = R"(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root { color-scheme: light dark; --paper: #fbfaf7; --card: #fff; --ink: #22252a; --soft: #6b7078;
  --line: #e3e1da; --bar: #3b6ea8; --good: #2c7a4b; --fair: #a66a00; --bad: #b3362b; }
@media (prefers-color-scheme: dark) { :root { --paper: #16181c; --card: #1f2227; --ink: #e8e6e1;
  --soft: #9aa0a8; --line: #33373e; --bar: #6ea3dc; --good: #6cc48d; --fair: #e0ad55;
  --bad: #ef8a7f; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.5rem 1.5rem 4rem; max-width: 72rem; background: var(--paper);
  color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { margin: 0; font-size: 1.9rem; } h2 { margin: 3rem 0 .8rem; font-size: 1.4rem; }
h3 { margin: 0 0 .7rem; font-size: 1rem; } p { margin: .3rem 0; } .soft { color: var(--soft); }
section.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 1.1rem 1.3rem; margin: 0 0 1rem; overflow-x: auto; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(24rem, 1fr)); gap: 0 1rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100%; }
th, td { padding: .2rem .9rem .2rem 0; text-align: right; white-space: nowrap; }
th { color: var(--soft); font-weight: 500; border-bottom: 1px solid var(--line); }
.text { text-align: left; max-width: 16rem; overflow: hidden; text-overflow: ellipsis; }
td.bar { width: 60%; padding-right: 0; } td.bar div { background: var(--bar); height: .8rem;
  border-radius: 2px; min-width: 1px; }
.good, .fair, .bad { font-weight: 600; } .good { color: var(--good); } .fair { color: var(--fair); }
.bad { color: var(--bad); }
svg { display: block; width: 100%; height: auto; margin: .3rem 0 1rem; }
svg path { fill: var(--bar); } svg line { stroke: var(--line); }
svg text { fill: var(--soft); font-size: 11px; }
.sheet { display: grid; grid-template-columns: repeat(auto-fill, minmax(160px, 1fr)); gap: 1rem; }
figure { margin: 0; min-width: 0; } figure .frame { height: 160px; display: grid;
  place-items: center; background: var(--paper); border-radius: 6px; overflow: hidden; }
figure .frame.bad { padding: .6rem; font-size: .75rem; font-weight: 400; overflow: auto;
  overflow-wrap: anywhere; border: 1px dashed var(--bad); }
figcaption { font-size: .8rem; line-height: 1.35; margin-top: .35rem; overflow-wrap: anywhere; }
</style>
)";

class Page {
 public:
  void raw(std::string_view text) { html_ += text; }
  template <typename... Values>
  void add(fmt::format_string<Values...> format, Values&&... values) {
    fmt::format_to(std::back_inserter(html_), format, std::forward<Values>(values)...);
  }
  std::string take() { return std::move(html_); }

 private:
  std::string html_;
};

std::string base64(std::span<const std::byte> bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t word = 0;
    for (std::size_t b = 0; b < count; ++b) {
      word |= std::to_integer<std::uint32_t>(bytes[i + b]) << (16 - 8 * b);
    }
    for (std::size_t digit = 0; digit < 4; ++digit) {
      text += digit <= count ? kDigits[(word >> (18 - 6 * digit)) & 63] : '=';
    }
  }
  return text;
}

double percent(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : 100 * static_cast<double>(part) / static_cast<double>(whole);
}

void add_bar(Page& page, std::uint64_t count, std::uint64_t most) {
  page.raw("<td class=\"bar\">");
  if (count != 0) page.add("<div style=\"width:{:.1f}%\"></div>", percent(count, most));
  page.raw("</td></tr>\n");
}

void add_class_rows(Page& page, const schemas::DatasetManifest& manifest,
                    const DatasetStatistics& statistics, std::span<const std::int32_t> labels) {
  const std::uint64_t most = *std::ranges::max_element(statistics.class_records);
  for (const std::int32_t label : labels) {
    const std::uint64_t count = statistics.class_records[static_cast<std::size_t>(label)];
    const std::string name = escape_html(class_name(manifest, label));
    page.add("<tr><td>{}</td><td class=\"text\" title=\"{}\">{}</td><td>{}</td>", label, name, name,
             grouped(count));
    add_bar(page, count, most);
  }
}

constexpr const char* kClassHead =
    "<table><tr><th>label</th><th class=\"text\">class</th><th>records</th><th></th></tr>\n";

// Records of each class, the largest class first, on a logarithmic axis.
void add_class_plot(Page& page, const DatasetStatistics& statistics,
                    const std::vector<std::int32_t>& by_size) {
  constexpr double kWidth = 960, kHeight = 200, kLeft = 60, kTop = 12;
  const auto records_at = [&](std::size_t rank) {
    return statistics.class_records[static_cast<std::size_t>(by_size[rank])];
  };
  const double top = std::max(1.0, std::log10(static_cast<double>(records_at(0))));
  const auto height_of = [&](double records) {  // one record is seen, too
    return kHeight * (0.03 + 0.97 * std::log10(records) / top);
  };
  page.add("<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"records of each class\">\n",
           kLeft + kWidth + 10, kTop + kHeight + 24);
  for (double power = 0; power <= top; ++power) {
    const double y = kTop + kHeight - height_of(std::pow(10, power));
    page.add(
        "<line x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/><text x=\"{}\" y=\"{:.1f}\" "
        "text-anchor=\"end\">{}</text>\n",
        kLeft, kLeft + kWidth, y, y, kLeft - 6, y + 4,
        grouped(static_cast<std::uint64_t>(std::llround(std::pow(10, power)))));
  }
  const std::size_t columns = std::min(kPlotColumns, by_size.size());
  page.add("<path d=\"M{} {}", kLeft, kTop + kHeight);
  for (std::size_t column = 0; column < columns; ++column) {
    const double y = height_of(static_cast<double>(records_at(column * by_size.size() / columns)));
    const double right =
        kLeft + kWidth * static_cast<double>(column + 1) / static_cast<double>(columns);
    page.add("V{:.1f}H{:.1f}", kTop + kHeight - y, right);
  }
  page.add("V{}Z\"/>\n<text x=\"{}\" y=\"{}\">{} classes with records, the largest first</text>\n",
           kTop + kHeight, kLeft, kTop + kHeight + 18, grouped(by_size.size()));
  page.raw("</svg>\n");
}

void add_classes(Page& page, const schemas::DatasetManifest& manifest,
                 const DatasetStatistics& statistics) {
  const auto by_size = statistics.classes_by_size();
  page.add(
      "<section class=\"card\"><h3>Classes</h3>\n<p class=\"soft\">{} classes, {} of them "
      "without a record",
      grouped(statistics.class_records.size()), grouped(statistics.empty_classes()));
  for (const auto& [name, records] : class_quantiles(statistics, by_size)) {
    page.add(" · {} {}", name, grouped(records));
  }
  page.raw("</p>\n");
  if (!by_size.empty() && statistics.class_records.size() <= kAllClasses) {
    std::vector<std::int32_t> all(statistics.class_records.size());
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::int32_t>(i);
    page.raw(kClassHead);
    add_class_rows(page, manifest, statistics, all);
    page.raw("</table>");
  } else if (!by_size.empty()) {
    add_class_plot(page, statistics, by_size);
    const std::span classes(by_size);
    const std::size_t ends = std::min(kEnds, classes.size());
    page.raw("<div class=\"pair\"><div><h3>Largest</h3>");
    page.raw(kClassHead);
    add_class_rows(page, manifest, statistics, classes.first(ends));
    page.raw("</table></div><div><h3>Smallest</h3>");
    page.raw(kClassHead);
    add_class_rows(page, manifest, statistics, classes.last(ends));
    page.raw("</table></div></div>");
  }
  page.raw("</section>\n");
}

void add_sizes(Page& page, const DatasetStatistics& statistics) {
  page.raw("<section class=\"card\"><h3>Image sizes</h3>\n");
  if (statistics.most_width != 0) {
    page.add("<p class=\"soft\">{}–{} pixels wide, {}–{} high</p>\n", statistics.least_width,
             statistics.most_width, statistics.least_height, statistics.most_height);
  }
  page.raw("<table><tr><th>short side</th><th>images</th><th></th></tr>\n");
  const auto& counts = statistics.short_sides;
  const std::uint64_t most = *std::ranges::max_element(counts);
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] == 0) continue;
    page.add("<tr><td>{}</td><td>{}</td>", side_range(i), grouped(counts[i]));
    add_bar(page, counts[i], most);
  }
  page.raw("</table></section>\n");
}

void add_labels(Page& page, const DatasetStatistics& statistics) {
  const auto& counts = statistics.label_counts;
  if (counts.size() == 2 && counts[0] == 0) return;  // one each
  page.add(
      "<section class=\"card\"><h3>Labels of a record</h3>\n<p class=\"soft\">mean {:.2f}</p>\n"
      "<table><tr><th>labels</th><th>records</th><th></th></tr>\n",
      static_cast<double>(statistics.labels()) / static_cast<double>(statistics.records));
  const std::uint64_t most = *std::ranges::max_element(counts);
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] == 0) continue;
    page.add("<tr><td>{}</td><td>{}</td>", i == 0 ? "none" : std::to_string(i), grouped(counts[i]));
    add_bar(page, counts[i], most);
  }
  page.raw("</table></section>\n");
}

void add_shuffle(Page& page, const SplitReport& report) {
  constexpr std::array<const char*, 4> kColours = {"soft", "good", "fair", "bad"};  // by Mixing
  auto worst = storage::Mixing::kUnknown;
  for (const auto& quality : report.qualities) {
    worst = std::max(worst, storage::judge(report.statistics, quality));
  }
  page.add("<section class=\"card\"><h3>Order of the records</h3>\n<p class=\"{}\">{}</p>\n",
           kColours[static_cast<std::size_t>(worst)], escape_html(verdict(report)));
  page.raw(
      "<p class=\"soft\">Different classes in a batch of records that follow each other</p>\n"
      "<table><tr><th>batch</th><th>found</th><th>least</th><th>random order</th></tr>\n");
  for (const auto& quality : report.qualities) {
    page.add("<tr><td>{}</td><td>{:.1f}</td><td>{}</td><td>{:.1f}</td></tr>\n",
             grouped(quality.batch), quality.found, quality.least, quality.expected);
  }
  page.raw("</table></section>\n");
}

void add_tile(Page& page, const schemas::DatasetManifest& manifest, const Tile& tile) {
  page.raw("<figure>");
  if (tile.problem.empty()) {
    page.add("<div class=\"frame\"><img alt=\"\" src=\"data:image/jpeg;base64,{}\"></div>",
             base64(tile.jpeg));
  } else {
    page.add("<div class=\"frame bad\">{}</div>", escape_html(tile.problem));
  }
  std::vector<std::string> names;
  for (const std::int32_t label : tile.labels) names.push_back(class_name(manifest, label));
  page.add("<figcaption><b>{}</b><br><span class=\"soft\">{}<br>record {}",
           names.empty() ? "no label" : escape_html(fmt::format("{}", fmt::join(names, ", "))),
           escape_html(tile.key), tile.record);
  if (tile.width != 0) page.add(", {} × {}", tile.width, tile.height);
  page.raw("</span></figcaption></figure>\n");
}

void add_split(Page& page, const schemas::DatasetManifest& manifest, const PageSplit& split) {
  const auto& [report, tiles] = split;
  page.add("<h2>{}</h2>\n", escape_html(report.split));
  if (report.statistics.records == 0) return page.raw("<p>no records</p>\n");
  page.raw("<div class=\"pair\">");
  add_shuffle(page, report);
  add_sizes(page, report.statistics);
  page.raw("</div>");
  add_labels(page, report.statistics);
  add_classes(page, manifest, report.statistics);
  if (tiles.empty()) return;
  page.add("<section class=\"card\"><h3>{} of {} records</h3>\n<div class=\"sheet\">\n",
           grouped(tiles.size()), grouped(report.statistics.records));
  for (const Tile& tile : tiles) add_tile(page, manifest, tile);
  page.raw("</div></section>\n");
}

void add_overview(Page& page, const std::vector<PageSplit>& splits) {
  page.raw(
      "<section class=\"card\" style=\"margin-top:1.5rem\"><table><tr><th class=\"text\">split"
      "</th><th>records</th><th>labels</th><th>shards</th><th>bytes</th><th>mean record</th>"
      "<th>largest shard</th></tr>\n");
  for (const auto& [report, tiles] : splits) {
    const auto& statistics = report.statistics;
    page.add(
        "<tr><td class=\"text\">{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>"
        "<td>{}</td></tr>\n",
        escape_html(report.split), grouped(statistics.records), grouped(statistics.labels()),
        grouped(static_cast<std::uint64_t>(report.shards)), human_bytes(report.bytes),
        human_bytes(statistics.bytes / std::max<std::uint64_t>(1, statistics.records)),
        human_bytes(report.largest_shard));
  }
  page.raw("</table></section>\n");
}

// Bytes of the UTF-8 sequence at the start of `text`, 0 when there is none.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xC2 && first < 0xE0   ? 2
                             : first >= 0xE0 && first < 0xF0 ? 3
                             : first >= 0xF0 && first < 0xF5 ? 4
                                                             : 0;
  if (length == 0 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  return length;
}

}  // namespace

std::string escape_html(std::string_view text) {
  std::string escaped;
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const auto first = static_cast<unsigned char>(text.front());
    if (length == 0 || first < 0x20 || first == 0x7F) {
      escaped += "\uFFFD";
    } else if (text.front() == '&') {
      escaped += "&amp;";
    } else if (text.front() == '<') {
      escaped += "&lt;";
    } else if (text.front() == '>') {
      escaped += "&gt;";
    } else if (text.front() == '"') {
      escaped += "&quot;";
    } else {
      escaped += text.substr(0, length);
    }
    text.remove_prefix(std::max<std::size_t>(1, length));
  }
  return escaped;
}

std::string inspect_page(const schemas::DatasetManifest& manifest,
                         const std::vector<PageSplit>& splits) {
  Page page;
  page.raw(kHead);
  const std::string name = escape_html(manifest.name());
  page.add("<title>{}</title>\n</head>\n<body>\n<h1>{}</h1>\n", name, name);
  std::uint64_t records = 0, bytes = 0;
  for (const auto& [report, tiles] : splits) {
    records += report.statistics.records;
    bytes += report.bytes;
  }
  page.add("<p class=\"soft\">{} records, {}, {}</p>\n", grouped(records), human_bytes(bytes),
           manifest.class_names_size() == 0
               ? "no class names"
               : grouped(static_cast<std::uint64_t>(manifest.class_names_size())) + " classes");
  add_overview(page, splits);
  for (const PageSplit& split : splits) add_split(page, manifest, split);
  page.raw("</body>\n</html>\n");
  return page.take();
}

}  // namespace bit::launcher
