// Text files of any length, line by line or, for CSV and TSV, row by row: in large reads and
// without a copy, holding one row at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/file.h"

namespace bit::storage {

// What is longer is no row: a quote that is not closed, or no text at all.
inline constexpr std::size_t kMaxRowBytes = std::size_t{16} << 20;
inline constexpr std::size_t kMaxRowCells = std::size_t{1} << 16;

// "<path>:<line>: <reason>"
std::string at_line(const std::string& path, std::uint64_t line, const std::string& reason);

// The bytes of a file that are read and not yet taken: what the readers below stand on. A byte
// order mark of UTF-8 at the start is left out. One thread.
class TextWindow {
 public:
  TextWindow(const ReadableFile& file, std::size_t read_bytes);

  // Valid until the next call of more().
  std::span<char> ahead() { return std::span(buffer_).subspan(taken_, buffered_ - taken_); }
  // Reads on behind what is ahead; false at the end of the file. Throws StorageError; DataError
  // naming `line` when more is ahead than a row may hold, or the file is UTF-16.
  bool more(std::uint64_t line);
  void take(std::size_t bytes) { taken_ += bytes; }
  const std::string& path() const { return file_.path(); }

 private:
  void look_at_start();

  const ReadableFile& file_;
  const std::size_t read_bytes_;
  std::vector<char> buffer_;
  std::uint64_t offset_ = 0;  // in the file, of the next read
  std::size_t buffered_ = 0;
  std::size_t taken_ = 0;
};

// Lines that end in LF or CRLF; the last may end with the file. One thread.
class LineReader {
 public:
  explicit LineReader(const ReadableFile& file, std::size_t read_bytes = std::size_t{1} << 20)
      : text_(file, read_bytes) {}

  // Without its end; valid until the next call. nullopt at the end of the file. Throws
  // StorageError; DataError naming file and line.
  std::optional<std::string_view> next();
  std::uint64_t line() const { return line_; }  // of the last one, from 1

 private:
  TextWindow text_;
  std::size_t taken_ = 0;  // bytes of the last line, which is still ahead
  std::uint64_t line_ = 0;
};

// Rows of cells. A cell that begins with a double quote ends at the next one, and may hold
// separators, line ends and doubled quotes (RFC 4180); elsewhere a quote is text. One thread.
class DelimitedReader {
 public:
  DelimitedReader(const ReadableFile& file, char separator,
                  std::size_t read_bytes = std::size_t{1} << 20)
      : text_(file, read_bytes), separator_(separator) {}

  // The cells of the next row that is not an empty line; valid until the next call. nullopt at the
  // end of the file. Throws StorageError; DataError naming file and line: a quote that is not
  // closed, text behind one that is, a row that is too long.
  std::optional<std::span<const std::string_view>> next();
  std::uint64_t line() const { return line_; }  // where the last row begins, from 1

 private:
  struct Cell {
    std::size_t begin = 0, end = 0;  // in what is ahead
  };
  bool at_end() { return at_ == text_.ahead().size() && !text_.more(line_); }
  void read_row();
  Cell plain_cell();
  Cell quoted_cell();

  TextWindow text_;
  const char separator_;
  std::vector<Cell> bounds_;
  std::vector<std::string_view> cells_;
  std::size_t at_ = 0;       // in what is ahead: the next byte to look at
  std::uint64_t lines_ = 0;  // that have ended
  std::uint64_t line_ = 0;
};

}  // namespace bit::storage
