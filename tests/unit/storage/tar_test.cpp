#include "storage/tar.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <vector>

#include "tests/support/memory_file.h"
#include "tests/support/process.h"
#include "tests/support/tar_writer.h"
#include "tests/unit/storage/storage_test_helpers.h"

namespace bit::storage {

bool operator==(const TarMember& a, const TarMember& b) {
  return a.name == b.name && a.offset == b.offset && a.bytes == b.bytes && a.type == b.type;
}
std::ostream& operator<<(std::ostream& out, const TarMember& member) {
  return out << member.name << " at " << member.offset << ", " << member.bytes << " bytes, type "
             << static_cast<int>(member.type);
}

namespace {

using test::TarWriter;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<TarMember> walk(TarReader& reader) {
  std::vector<TarMember> members;
  while (auto member = reader.next()) members.push_back(*member);
  EXPECT_EQ(reader.next(), std::nullopt);
  return members;
}

// Of a tar in memory; the same is expected when it can only be read in sequence.
std::vector<TarMember> members_of(const std::string& tar) {
  const test::MemoryFile file(bytes_of(tar));
  TarReader reader(file);
  auto members = walk(reader);
  const test::MemoryStream stream(bytes_of(tar));
  TarReader in_sequence(stream);
  EXPECT_EQ(walk(in_sequence), members);
  return members;
}

std::vector<std::string> names_of(const std::string& tar) {
  std::vector<std::string> names;
  for (const TarMember& member : members_of(tar)) names.push_back(member.name);
  return names;
}

std::string failure(const std::string& tar) {
  const test::MemoryFile file(bytes_of(tar));
  const test::MemoryStream stream(bytes_of(tar));
  TarReader in_sequence(stream);
  EXPECT_THROW(walk(in_sequence), DataError);
  TarReader reader(file);
  return message_of<DataError>([&] { walk(reader); });
}

std::string with_header(std::string block) {
  TarWriter tar;
  tar.append_header(std::move(block));
  return tar.finished();
}

TEST(Tar, members_are_found_where_their_bytes_are) {
  TarWriter tar;
  tar.add("folder/", "", '5');
  tar.add("folder/a.jpg", "first");
  tar.add("empty", "");
  tar.add("link", "", '2');
  tar.add("b", std::string(1024, 'b'));
  EXPECT_THAT(members_of(tar.finished()),
              ElementsAre(TarMember{"folder/", 512, 0, TarType::kDirectory},
                          TarMember{"folder/a.jpg", 1024, 5, TarType::kFile},
                          TarMember{"empty", 2048, 0, TarType::kFile},
                          TarMember{"link", 2560, 0, TarType::kLink},
                          TarMember{"b", 3072, 1024, TarType::kFile}));
}

TEST(Tar, a_stream_may_be_read_between_headers) {
  TarWriter tar;
  tar.add("a", "first");
  tar.add("skipped", "second");
  tar.add("b", std::string(512, 'b'));
  const std::string bytes = tar.finished();
  const test::MemoryStream stream(bytes_of(bytes));
  TarReader reader(stream);
  std::string read;
  while (const auto member = reader.next()) {
    if (member->name == "skipped") continue;
    std::string data(member->bytes, '\0');
    EXPECT_EQ(stream.read_at(member->offset, std::as_writable_bytes(std::span(data))), data.size());
    read += data;
  }
  EXPECT_EQ(read, "first" + std::string(512, 'b'));
}

TEST(Tar, a_tar_in_a_tar_is_read_in_place) {
  TarWriter inner;
  inner.add("x", "in the inner one");
  TarWriter outer;
  outer.add("before", "1");
  const std::uint64_t offset = outer.add("inner.tar", inner.finished());
  outer.add("behind", "2");
  const std::string bytes = outer.finished();
  const test::MemoryFile file(bytes_of(bytes));
  TarReader reader(file, offset, inner.finished().size());
  EXPECT_THAT(walk(reader), ElementsAre(TarMember{"x", offset + 512, 16, TarType::kFile}));
}

TEST(Tar, names_come_from_every_form_of_header) {
  const std::string long_name = std::string(150, 'l') + "/" + std::string(90, 'm') + ".jpg";
  std::string prefixed = TarWriter::header("name.jpg", 0, '0');
  TarWriter::put(prefixed, 345, "pre/fix");
  std::string gnu = TarWriter::header("gnu.jpg", 0, '0');
  TarWriter::put(gnu, 257, std::string_view("ustar  \0", 8));
  TarWriter::put(gnu, 345, "14271234567");  // GNU keeps times there
  TarWriter tar;
  tar.append_header(prefixed);
  tar.append_header(gnu);
  tar.add(std::string(100, 'n'), "");  // no NUL behind it
  tar.add_with_gnu_name(long_name, "data");
  tar.add_with_pax(
      TarWriter::pax_record("mtime", "1.5") + TarWriter::pax_record("path", "na\xC3\xAFve\n=.jpg"),
      "short", "data");
  tar.add("last", "");
  EXPECT_THAT(names_of(tar.finished()),
              ElementsAre("pre/fix/name.jpg", "gnu.jpg", std::string(100, 'n'), long_name,
                          "na\xC3\xAFve\n=.jpg", "last"));
}

TEST(Tar, long_names_of_links_and_global_attributes_are_passed_over) {
  TarWriter tar;
  tar.add("pax_global_header", TarWriter::pax_record("comment", "0123"), 'g');
  tar.add("././@LongLink", std::string(300, 'k'), 'K');
  tar.add("link", "", '2');
  tar.add("file", "data");
  EXPECT_THAT(names_of(tar.finished()), ElementsAre("link", "file"));
}

TEST(Tar, sizes_come_from_octal_base_256_and_pax) {
  std::string base256 = TarWriter::header("base256", 0, '0');
  TarWriter::put(base256, 124, std::string_view("\x80\0\0\0\0\0\0\0\0\0\x02\x01", 12));
  std::string spaces = TarWriter::header("spaces", 0, '0');
  TarWriter::put(spaces, 124, std::string_view("        12 \0", 12));
  TarWriter tar;
  tar.append_header(base256);
  tar.append_data(std::string(513, 'x'));
  tar.append_header(spaces);
  tar.append_data(std::string(10, 'x'));
  tar.add("pax", TarWriter::pax_record("size", "600"), 'x');
  tar.append_header(TarWriter::header("pax", 0, '0'));
  tar.append_data(std::string(600, 'x'));
  const auto members = members_of(tar.finished());
  ASSERT_EQ(members.size(), 3U);
  EXPECT_EQ(members[0].bytes, 513U);
  EXPECT_EQ(members[1].bytes, 10U);
  EXPECT_EQ(members[2].bytes, 600U);
}

TEST(Tar, of_version_7_have_no_magic_and_directories_by_name) {
  std::string file = TarWriter::header("folder/file", 0, '\0');
  TarWriter::put(file, 257, std::string_view("\0\0\0\0\0\0\0\0", 8));
  std::string folder = TarWriter::header("folder/", 0, '\0');
  TarWriter::put(folder, 257, std::string_view("\0\0\0\0\0\0\0\0", 8));
  TarWriter tar;
  tar.append_header(folder);
  tar.append_header(file);
  const auto members = members_of(tar.finished());
  ASSERT_EQ(members.size(), 2U);
  EXPECT_EQ(members[0].type, TarType::kDirectory);
  EXPECT_EQ(members[1].type, TarType::kFile);
}

TEST(Tar, checksums_of_signed_bytes_are_good_too) {
  std::string block = TarWriter::header("n\xC3\xA4me", 0, '0');
  block.replace(148, 8, 8, ' ');
  std::int64_t sum = 0;
  for (const char byte : block) sum += static_cast<signed char>(byte);
  TarWriter::put(block, 148, TarWriter::octal(static_cast<std::uint64_t>(sum), 6) + '\0');
  EXPECT_THAT(names_of(block + std::string(1024, '\0')), ElementsAre("n\xC3\xA4me"));
}

TEST(Tar, sparse_members_are_known_as_such_and_passed_over) {
  std::string gnu = TarWriter::header("gnu sparse", 512, 'S');
  gnu[482] = 1;
  std::string more(512, '\0');
  more[504] = 1;
  TarWriter tar;
  tar.append_header(gnu);
  tar.append_data(more + std::string(512, '\0') + std::string(512, 'd'));
  tar.add_with_pax(TarWriter::pax_record("GNU.sparse.major", "1") +
                       TarWriter::pax_record("GNU.sparse.name", "pax sparse"),
                   "GNUSparseFile.0/x", "map and data");
  tar.add("behind", "data");
  const auto members = members_of(tar.finished());
  ASSERT_EQ(members.size(), 3U);
  EXPECT_EQ(members[0].type, TarType::kSparse);
  EXPECT_EQ(members[0].offset, 3 * 512U);
  EXPECT_EQ(members[1].type, TarType::kSparse);
  EXPECT_EQ(members[1].name, "pax sparse");
  EXPECT_EQ(members[2].type, TarType::kFile);
}

TEST(Tar, ends_at_zeros_however_many_or_at_the_end_of_a_file_of_known_size) {
  TarWriter tar;
  tar.add("a", "data");
  EXPECT_EQ(members_of(tar.finished()).size(), 1U);
  EXPECT_EQ(members_of(tar.finished() + std::string(100'000, '\0')).size(), 1U);
  EXPECT_EQ(members_of(tar.bytes() + std::string(512, '\0')).size(), 1U);
  EXPECT_EQ(members_of(std::string(10'240, '\0')).size(), 0U);

  const test::MemoryFile file(bytes_of(tar.bytes()));
  TarReader reader(file);
  EXPECT_EQ(walk(reader).size(), 1U);
  const std::string unpadded = tar.bytes().substr(0, 512 + 4);
  const test::MemoryFile short_file(bytes_of(unpadded));
  TarReader short_reader(short_file);
  EXPECT_EQ(walk(short_reader).size(), 1U);
}

TEST(Tar, a_stream_that_ends_without_zeros_may_be_cut_and_is_an_error) {
  TarWriter tar;
  tar.add("a", std::string(1024, 'a'));
  for (const std::size_t bytes : {std::size_t{1536}, std::size_t{1000}, std::size_t{512}}) {
    const std::string cut = tar.bytes().substr(0, bytes);
    const test::MemoryStream stream(bytes_of(cut));
    TarReader reader(stream);
    EXPECT_THAT(message_of<DataError>([&] { walk(reader); }), HasSubstr("the stream ends before"));
  }
}

TEST(Tar, what_follows_the_end_is_an_error_because_zeroed_headers_look_like_it) {
  TarWriter tar;
  tar.add("a", "data");
  const std::string joined = tar.finished() + tar.finished();
  EXPECT_EQ(failure(joined),
            "memory: at byte 1024: zeros mark the end of the tar, but more follows (zeroed by "
            "damage, or several tars joined to one?)");
}

TEST(Tar, a_cut_tar_is_an_error_naming_the_byte) {
  TarWriter tar;
  tar.add("a", std::string(1000, 'a'));
  tar.add("b", "data");
  EXPECT_EQ(failure(tar.bytes().substr(0, 700)),
            "memory: at byte 0: the file ends inside a member: it has 188 of 1000 bytes");
  EXPECT_EQ(failure(tar.bytes().substr(0, 1600)),
            "memory: at byte 1600: the file ends inside a header");
  EXPECT_EQ(failure(""), "memory: at byte 0: an empty file is not a tar");
}

TEST(Tar, a_wrong_checksum_is_an_error_naming_the_header) {
  TarWriter tar;
  tar.add("a", "data");
  tar.add("b", "data");
  std::string bytes = tar.finished();
  bytes[1024] = 'c';
  EXPECT_EQ(failure(bytes),
            "memory: at byte 1024: not the header of a tar's member (its checksum does not fit)");
  EXPECT_THAT(failure(std::string(2000, 'x')), HasSubstr("at byte 0: not the header"));
}

TEST(Tar, sizes_that_are_none_or_too_large_are_errors) {
  std::string text = TarWriter::header("text", 0, '0');
  TarWriter::put(text, 124, "12a45678901");
  EXPECT_THAT(failure(with_header(text)), HasSubstr("at byte 0: the size of a member"));
  std::string negative = TarWriter::header("negative", 0, '0');
  negative.replace(124, 12, 12, '\xFF');
  EXPECT_THAT(failure(with_header(negative)), HasSubstr("at byte 0: the size of a member"));
  std::string huge = TarWriter::header("huge", 0, '0');
  TarWriter::put(huge, 124, std::string_view("\x80\0\0\0\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 12));
  EXPECT_THAT(failure(with_header(huge)), HasSubstr("the file ends inside a member"));
}

TEST(Tar, names_and_attributes_without_bound_are_refused_before_they_are_read) {
  for (const char type : {'L', 'x', 'g'}) {
    EXPECT_THAT(failure(with_header(TarWriter::header("x", std::uint64_t{1} << 32, type))),
                HasSubstr("more than 1 MiB"));
  }
}

TEST(Tar, attributes_that_cannot_be_understood_are_an_error) {
  for (const std::string attributes :
       {"5 a=", "99 path=x\n", "0 path=x\n", "x path=x\n", "10 path\nxx\n", "3 =\n",
        "13 size=12ab\n", "28 size=99999999999999999999\n", "11 path=abc",
        "18446744073709551616 a=\n"}) {
    TarWriter tar;
    tar.add_with_pax(attributes, "x", "data");
    EXPECT_THAT(failure(tar.finished()), HasSubstr("cannot be understood")) << attributes;
  }
}

TEST(Tar, an_announced_member_that_does_not_come_is_an_error) {
  TarWriter tar;
  tar.add("././@LongLink", "name", 'L');
  EXPECT_THAT(failure(tar.finished()), HasSubstr("ends where a member was announced"));
}

// What the system's tar writes, in each of its formats, with a name of 200 and a path of 300 bytes
// where the format can.
TEST(Tar, made_by_the_tar_command_are_read_in_each_format) {
  const test::TempDirectory directory;
  const std::string middle = "folder/" + std::string(60, 'm') + "/" + std::string(80, 'n') + ".jpg";
  const std::string longest = std::string(200, 'p') + "/" + std::string(150, 'q') + ".jpg";
  FileSystem& files = posix_file_system();
  for (const std::string& name : {std::string("a.jpg"), middle, longest}) {
    files.make_directories(std::filesystem::path(directory / ("in/" + name)).parent_path());
    write_text(directory / ("in/" + name), "bytes of " + name);
  }
  struct Case {
    std::string format;
    std::vector<std::string> names;
  };
  for (const Case& made :
       {Case{"v7", {"a.jpg"}}, Case{"oldgnu", {"a.jpg", middle, longest}},
        Case{"gnu", {"a.jpg", middle, longest}}, Case{"ustar", {"a.jpg", middle}},
        Case{"posix", {"a.jpg", middle, longest}}}) {
    const std::string path = directory / (made.format + ".tar");
    std::vector<std::string> command{
        "tar", "--format=" + made.format, "-C", directory / "in", "-cf", path};
    command.insert(command.end(), made.names.begin(), made.names.end());
    const auto result = test::run_process(command);
    ASSERT_EQ(result.exit_code, 0) << result.err;
    const std::string bytes = read_file(files, path);
    std::vector<std::string> names;
    for (const TarMember& member : members_of(bytes)) {
      names.push_back(member.name);
      EXPECT_EQ(bytes.substr(member.offset, member.bytes), "bytes of " + member.name);
    }
    EXPECT_EQ(names, made.names) << made.format;
  }
}

}  // namespace
}  // namespace bit::storage
