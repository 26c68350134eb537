#include "storage/delimited_text.h"

#include <algorithm>
#include <cstring>

#include "storage/tfrecord.h"

namespace bit::storage {

std::string at_line(const std::string& path, std::uint64_t line, const std::string& reason) {
  return path + ":" + std::to_string(line) + ": " + reason;
}

TextWindow::TextWindow(const ReadableFile& file, std::size_t read_bytes)
    : file_(file),
      read_bytes_(std::max<std::size_t>(std::min<std::uint64_t>(read_bytes, file.size()), 4)),
      buffer_(read_bytes_) {}

bool TextWindow::more(std::uint64_t line) {
  const std::size_t kept = buffered_ - taken_;
  if (kept > kMaxRowBytes) {
    throw DataError(at_line(path(), line,
                            "longer than " + std::to_string(kMaxRowBytes >> 20) +
                                " MiB (a quote that is not closed, or not a text file?)"));
  }
  std::memmove(buffer_.data(), buffer_.data() + taken_, kept);
  taken_ = 0;
  buffered_ = kept;
  if (buffer_.size() - kept < read_bytes_) buffer_.resize(kept + std::max(kept, read_bytes_));
  const auto room = std::span(buffer_).subspan(kept);
  const std::size_t count = file_.read_at(offset_, std::as_writable_bytes(room));
  buffered_ += count;
  if (offset_ == 0) look_at_start();
  offset_ += count;
  return buffered_ - taken_ > kept;
}

void TextWindow::look_at_start() {
  const std::string_view start(buffer_.data(), buffered_);
  if (start.starts_with("\xFF\xFE") || start.starts_with("\xFE\xFF")) {
    throw DataError(path() + ": UTF-16, where UTF-8 is expected");
  }
  if (start.starts_with("\xEF\xBB\xBF")) take(3);
}

std::optional<std::string_view> LineReader::next() {
  text_.take(taken_);
  taken_ = 0;
  ++line_;
  for (std::size_t searched = 0;;) {
    const auto ahead = text_.ahead();
    const std::string_view text(ahead.data(), ahead.size());
    const std::size_t end = text.find('\n', searched);
    searched = text.size();
    if (end == std::string_view::npos && text_.more(line_)) continue;
    if (text.empty()) return std::nullopt;
    // At the end of the file the window may have moved.
    std::string_view line(text_.ahead().data(), std::min(end, text.size()));
    taken_ = std::min(line.size() + 1, text.size());
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
  }
}

std::optional<std::span<const std::string_view>> DelimitedReader::next() {
  for (;;) {
    text_.take(at_);
    at_ = 0;
    line_ = lines_ + 1;
    if (at_end()) return std::nullopt;
    read_row();
    const auto ahead = text_.ahead();
    cells_.clear();
    for (const Cell& cell : bounds_) {
      cells_.emplace_back(ahead.data() + cell.begin, cell.end - cell.begin);
    }
    if (cells_.size() > 1 || !cells_.front().empty()) return cells_;
  }
}

// Leaves at_ behind the end of the row.
void DelimitedReader::read_row() {
  bounds_.clear();
  for (;;) {
    const bool quoted = !at_end() && text_.ahead()[at_] == '"';
    bounds_.push_back(quoted ? quoted_cell() : plain_cell());
    if (at_end()) return;
    if (text_.ahead()[at_++] == '\n') {
      ++lines_;
      return;
    }
    if (bounds_.size() == kMaxRowCells) {
      throw DataError(at_line(text_.path(), line_,
                              "a row of more than " + std::to_string(kMaxRowCells) + " cells"));
    }
  }
}

// Leaves at_ at the separator, the line end or the end of the file.
DelimitedReader::Cell DelimitedReader::plain_cell() {
  Cell cell{at_, at_};
  do {
    const auto ahead = text_.ahead();
    while (at_ < ahead.size() && ahead[at_] != separator_ && ahead[at_] != '\n') ++at_;
    if (at_ < ahead.size()) break;
  } while (!at_end());
  cell.end = at_;
  const auto ahead = text_.ahead();
  const bool row_ends = at_ == ahead.size() || ahead[at_] == '\n';
  if (row_ends && cell.end > cell.begin && ahead[cell.end - 1] == '\r') --cell.end;
  return cell;
}

// The same. Doubled quotes become one in place, so that what follows them moves down.
DelimitedReader::Cell DelimitedReader::quoted_cell() {
  const std::uint64_t first_line = lines_ + 1;
  ++at_;
  Cell cell{at_, at_};
  for (;; ++at_) {
    if (at_end()) {
      throw DataError(at_line(text_.path(), first_line, "a quote that is not closed"));
    }
    char byte = text_.ahead()[at_];
    if (byte == '"') {
      ++at_;
      if (at_end() || text_.ahead()[at_] != '"') break;
      byte = '"';
    }
    if (byte == '\n') ++lines_;
    text_.ahead()[cell.end++] = byte;
  }
  if (!at_end() && text_.ahead()[at_] == '\r') ++at_;
  if (!at_end() && text_.ahead()[at_] != separator_ && text_.ahead()[at_] != '\n') {
    throw DataError(at_line(text_.path(), lines_ + 1,
                            "text behind the closing quote of a cell (a quote inside a quoted "
                            "cell is written twice)"));
  }
  return cell;
}

}  // namespace bit::storage
