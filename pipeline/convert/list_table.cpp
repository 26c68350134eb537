// List files of columns: which column says what, and the rows.
#include <algorithm>
#include <array>
#include <charconv>
#include <span>

#include "pipeline/convert/list_rows.h"
#include "storage/delimited_text.h"
#include "storage/tfrecord.h"

namespace bit::pipeline {
namespace {

using Cells = std::span<const std::string_view>;

constexpr std::size_t kNoColumn = SIZE_MAX;
constexpr std::size_t kUnnamedColumns = 3;  // path, labels, key

std::string quoted_names(Cells names) {
  constexpr std::size_t kShown = 20;
  std::string text;
  for (const std::string_view name : names.first(std::min(names.size(), kShown))) {
    text += (text.empty() ? "`" : ", `") + std::string(name.substr(0, 100)) + "`";
  }
  return names.size() > kShown ? text + ", ..." : text;
}

// "3": 2
std::optional<std::size_t> column_numbered(const std::string& text) {
  std::size_t number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || rest != end || number == 0) return std::nullopt;
  return number - 1;
}

class Columns {
 public:
  // `first` is the first row. Throws storage::DataError with the reason alone.
  Columns(Cells first, const ListFileOptions& options) {
    at_.fill(kNoColumn);
    has_header_ = options.header.value_or(is_header(first));
    for (const auto& [role, column] : options.columns) {
      column_of(list_role_named(role)) = given_column(first, column, options);
    }
    if (has_header_) find_usual_names(first);
    if (!has_header_ && options.columns.empty()) {
      column_of(ListRole::kPath) = 0;
      column_of(ListRole::kLabels) = 1;
      column_of(ListRole::kKey) = 2;
      most_ = kUnnamedColumns;
    }
    if (has_header_) most_ = first.size();
    demand(ListRole::kPath, first);
    demand(ListRole::kLabels, first);
    least_ = std::max(column_of(ListRole::kPath), column_of(ListRole::kLabels)) + 1;
  }

  bool has_header() const { return has_header_; }

  // Empty when the row ends before it.
  std::string_view cell(Cells row, ListRole role) const {
    const std::size_t column = at_[static_cast<std::size_t>(role)];
    return column < row.size() ? row[column] : std::string_view();
  }

  // Throws storage::DataError with the reason alone.
  void check(Cells row) const {
    if (row.size() >= least_ && row.size() <= most_) return;
    const std::string found = std::to_string(row.size()) + (row.size() == 1 ? " cell" : " cells");
    if (row.size() < least_) {
      throw storage::DataError(found + ", where path and labels need " + std::to_string(least_));
    }
    throw storage::DataError(
        has_header_ ? found + ", where the first line names " + std::to_string(most_)
                    : found + " and no line that names them: say which is what with --column");
  }

 private:
  std::size_t& column_of(ListRole role) { return at_[static_cast<std::size_t>(role)]; }

  // A name of paths among its cells, or nothing but known names.
  static bool is_header(Cells first) {
    const auto is_path = [](std::string_view name) {
      return usual_list_role(name) == ListRole::kPath;
    };
    const auto is_known = [](std::string_view name) { return usual_list_role(name).has_value(); };
    return std::ranges::any_of(first, is_path) || std::ranges::all_of(first, is_known);
  }

  std::size_t given_column(Cells first, const std::string& column, const ListFileOptions& options) {
    if (const auto number = column_numbered(column)) return *number;
    const auto found = std::ranges::find(first, std::string_view(column));
    if (found == first.end() || options.header == false) {
      throw storage::DataError("no column `" + column + "`: the first line is " +
                               quoted_names(first));
    }
    has_header_ = true;
    return static_cast<std::size_t>(found - first.begin());
  }

  void find_usual_names(Cells names) {
    const auto given = at_;
    for (std::size_t i = 0; i < names.size(); ++i) {
      const auto role = usual_list_role(names[i]);
      if (!role || given[static_cast<std::size_t>(*role)] != kNoColumn) continue;
      if (std::ranges::find(given, i) != given.end()) continue;
      std::size_t& column = column_of(*role);
      if (column != kNoColumn) {
        throw storage::DataError(quoted_names(std::array{names[column], names[i]}) +
                                 " could both be the " + std::string(list_role_name(*role)) +
                                 ": say which with --column");
      }
      column = i;
    }
  }

  void demand(ListRole role, Cells first) {
    if (column_of(role) != kNoColumn) return;
    throw storage::DataError("no column is known to be the " + std::string(list_role_name(role)) +
                             ": say which with --column; the first line is " + quoted_names(first));
  }

  std::array<std::size_t, kListRoles> at_{};  // [role]
  bool has_header_ = false;
  std::size_t least_ = 0, most_ = SIZE_MAX;  // cells of a row
};

// The cells of a line of plain text.
class TextCells {
 public:
  explicit TextCells(const storage::ReadableFile& file) : lines_(file) {}

  std::optional<Cells> next() {
    while (const auto line = lines_.next()) {
      cells_.clear();
      if (line->find('\t') != std::string_view::npos) {
        split_at_tabs(*line);
      } else {
        split_off_labels(*line);
      }
      if (!cells_.empty()) return cells_;
    }
    return std::nullopt;
  }
  std::uint64_t line() const { return lines_.line(); }

 private:
  void split_at_tabs(std::string_view line) {
    for (;;) {
      const std::size_t end = line.find('\t');
      cells_.push_back(line.substr(0, end));
      if (end == std::string_view::npos || cells_.size() > storage::kMaxRowCells) return;
      line.remove_prefix(end + 1);
    }
  }

  void split_off_labels(std::string_view line) {
    constexpr std::string_view kDigits = "0123456789";
    line = line.substr(0, line.find_last_not_of(' ') + 1);
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    if (line.empty()) return;
    std::size_t labels = line.size();  // where they begin
    for (std::size_t end = line.size();;) {
      const std::size_t space = line.find_last_of(' ', end - 1);
      if (space == std::string_view::npos) break;
      const std::string_view word = line.substr(space + 1, end - space - 1);
      const bool is_number = word.find_first_not_of(kDigits) == std::string_view::npos;
      if (!is_number && labels != line.size()) break;
      labels = space + 1;
      end = line.find_last_not_of(' ', space) + 1;
      if (!is_number) break;
    }
    const std::string_view path = line.substr(0, labels);
    cells_.push_back(path.substr(0, path.find_last_not_of(' ') + 1));
    if (labels != line.size()) cells_.push_back(line.substr(labels));
  }

  storage::LineReader lines_;
  std::vector<std::string_view> cells_;
};

template <typename Reader>
class TableRows final : public ListRows {
 public:
  TableRows(Reader reader, std::string path, const ListFileOptions& options)
      : reader_(std::move(reader)), path_(std::move(path)), options_(options) {}

  bool next(ListRow& row) override {
    auto cells = reader_.next();
    if (cells && !columns_) {
      naming_the_line([&] { columns_.emplace(*cells, options_); });
      if (columns_->has_header()) cells = reader_.next();
    }
    if (!cells) return false;
    naming_the_line([&] {
      columns_->check(*cells);
      fill(row, *cells);
    });
    return true;
  }

 private:
  template <typename Action>
  void naming_the_line(Action action) const {
    try {
      action();
    } catch (const storage::DataError& error) {
      throw storage::DataError(storage::at_line(path_, reader_.line(), error.what()));
    }
  }

  void fill(ListRow& row, Cells cells) const {
    row.line = reader_.line();
    row.path = columns_->cell(cells, ListRole::kPath);
    if (row.path.empty()) throw storage::DataError("no path");
    row.key = columns_->cell(cells, ListRole::kKey);
    row.labels.clear();
    split_labels(columns_->cell(cells, ListRole::kLabels), options_.label_separator, row.labels);
    row.absent = false;
    row.fault.clear();
    const std::string_view text = columns_->cell(cells, ListRole::kConfidence);
    if (text.empty()) return;
    double confidence = 0;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), confidence);
    if (error != std::errc() || rest != text.data() + text.size()) {
      row.fault = "confidence `" + std::string(text.substr(0, 100)) + "` is not a number";
    }
    row.absent = confidence <= 0;
  }

  Reader reader_;
  const std::string path_;
  const ListFileOptions& options_;
  std::optional<Columns> columns_;
};

}  // namespace

std::unique_ptr<ListRows> csv_rows(const storage::ReadableFile& file, char separator,
                                   const ListFileOptions& options) {
  return std::make_unique<TableRows<storage::DelimitedReader>>(
      storage::DelimitedReader(file, separator), file.path(), options);
}

std::unique_ptr<ListRows> text_rows(const storage::ReadableFile& file,
                                    const ListFileOptions& options) {
  return std::make_unique<TableRows<TextCells>>(TextCells(file), file.path(), options);
}

}  // namespace bit::pipeline
