// Rows and lines as people, spreadsheets and scripts write them, whatever the size of the reads.
#include "storage/delimited_text.h"

#include <algorithm>

#include "tests/unit/storage/storage_test_helpers.h"

namespace bit::storage {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Rows = std::vector<std::vector<std::string>>;

class TextFile final : public ReadableFile {
 public:
  explicit TextFile(std::string text) : text_(std::move(text)) {}
  std::size_t read_at(std::uint64_t offset, std::span<std::byte> out) const override {
    const auto rest = bytes_of(text_).subspan(std::min<std::size_t>(offset, text_.size()));
    const auto part = rest.first(std::min(out.size(), rest.size()));
    std::ranges::copy(part, out.begin());
    return part.size();
  }
  std::uint64_t size() const override { return text_.size(); }
  const std::string& path() const override { return path_; }

 private:
  std::string text_;
  std::string path_ = "list.csv";
};

Rows read_rows(const std::string& text, std::size_t read_bytes) {
  const TextFile file(text);
  DelimitedReader reader(file, ',', read_bytes);
  Rows rows;
  while (const auto row = reader.next()) rows.emplace_back(row->begin(), row->end());
  return rows;
}

std::vector<std::string> read_lines(const std::string& text, std::size_t read_bytes) {
  const TextFile file(text);
  LineReader reader(file, read_bytes);
  std::vector<std::string> lines;
  while (const auto line = reader.next()) lines.emplace_back(*line);
  return lines;
}

// The same for reads of every small size, so that each byte is once the last of a read.
void expect_rows(const std::string& text, const Rows& expected) {
  for (const std::size_t read_bytes : {4u, 5u, 6u, 7u, 11u, 1u << 20}) {
    EXPECT_EQ(read_rows(text, read_bytes), expected) << text << " in reads of " << read_bytes;
  }
}

std::string refusal(const std::string& text, std::size_t read_bytes = std::size_t{1} << 20) {
  return message_of<DataError>([&] { read_rows(text, read_bytes); });
}

TEST(DelimitedText, is_cells_between_separators) {
  expect_rows("a,b,c\nd,,f\n", {{"a", "b", "c"}, {"d", "", "f"}});
  expect_rows(",\n", {{"", ""}});
  expect_rows(" a , b\n", {{" a ", " b"}});
  expect_rows("", {});
}

TEST(DelimitedText, may_end_without_a_line_end) {
  expect_rows("a,b\nc,d", {{"a", "b"}, {"c", "d"}});
  expect_rows("a,", {{"a", ""}});
  expect_rows("a,\"b\"", {{"a", "b"}});
}

TEST(DelimitedText, may_end_its_lines_with_carriage_returns) {
  expect_rows("a,b\r\n\"c\",\"d\"\r\n\r\ne,f\r", {{"a", "b"}, {"c", "d"}, {"e", "f"}});
  expect_rows("a\rb,c\n", {{"a\rb", "c"}});
}

TEST(DelimitedText, may_begin_with_a_byte_order_mark) {
  expect_rows("\xEF\xBB\xBF\"a\",b\n", {{"a", "b"}});
  expect_rows("\xEF\xBB\xBF", {});
  EXPECT_THAT(refusal("\xFF\xFE"), HasSubstr("list.csv: UTF-16"));
}

TEST(DelimitedText, may_quote_what_would_end_a_cell) {
  expect_rows("\"a,b\",\"c\nd\",\"e \"\"f\"\"\"\n", {{"a,b", "c\nd", "e \"f\""}});
  expect_rows("\"\",\"\"\"\",x\n", {{"", "\"", "x"}});
  expect_rows("5\" disk,b\"c\"\n", {{"5\" disk", "b\"c\""}});
}

TEST(DelimitedText, skips_empty_lines_and_counts_them) {
  const TextFile file("\n\na,\"b\nb\"\n\nc,d\n");
  DelimitedReader reader(file, ',');
  ASSERT_TRUE(reader.next());
  EXPECT_EQ(reader.line(), 3u);
  ASSERT_TRUE(reader.next());
  EXPECT_EQ(reader.line(), 6u);
  EXPECT_FALSE(reader.next());
  EXPECT_FALSE(reader.next()) << "the end stays the end";
}

TEST(DelimitedText, names_the_line_of_a_broken_quote) {
  EXPECT_EQ(refusal("a,b\nc,\"d\ne,f\n"), "list.csv:2: a quote that is not closed");
  EXPECT_THAT(refusal("\"a\nb\" c,d\n"), HasSubstr("list.csv:2: text behind the closing quote"));
}

TEST(DelimitedText, holds_long_rows_but_not_endless_ones) {
  const std::string long_cell(1'000'000, 'x');
  expect_rows("a,b\n" + long_cell + ",\"" + long_cell + "\"\n",
              {{"a", "b"}, {long_cell, long_cell}});
  const std::string endless(kMaxRowBytes + (std::size_t{4} << 20), 'x');
  EXPECT_THAT(refusal("a\n" + endless), HasSubstr("list.csv:2: longer than 16 MiB"));
  EXPECT_THAT(refusal("a\n\"" + endless), HasSubstr("list.csv:2: longer than 16 MiB"));
  EXPECT_THAT(refusal(std::string(kMaxRowCells, ',')), HasSubstr("more than 65536 cells"));
}

TEST(TextLines, end_with_either_line_end_or_the_file) {
  for (const std::size_t read_bytes : {4u, 5u, 7u, 1u << 20}) {
    EXPECT_THAT(read_lines("one\r\n\ntwo words\nlast", read_bytes),
                ElementsAre("one", "", "two words", "last"));
    EXPECT_THAT(read_lines("\xEF\xBB\xBFone\n", read_bytes), ElementsAre("one"));
    EXPECT_THAT(read_lines(std::string("a\0b\n", 4), read_bytes),
                ElementsAre(std::string("a\0b", 3)));
    EXPECT_THAT(read_lines("", read_bytes), ElementsAre());
  }
}

TEST(TextLines, know_their_number) {
  const TextFile file("one\n\nthree");
  LineReader reader(file);
  while (reader.next() != "three") {
  }
  EXPECT_EQ(reader.line(), 3u);
  EXPECT_FALSE(reader.next());
}

}  // namespace
}  // namespace bit::storage
