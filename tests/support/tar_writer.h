// Makes tar files for tests, in memory: ustar headers, GNU's long names, pax headers, and headers
// that are wrong in one way.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace bit::test {

inline std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class TarWriter {
 public:
  static constexpr std::size_t kBlock = 512;

  // A ustar member. Returns the offset of its data. `name` has at most 100 bytes.
  std::uint64_t add(std::string_view name, std::string_view data, char type = '0') {
    append_header(header(name, data.size(), type));
    return append_data(data);
  }
  std::uint64_t add(std::string_view name, std::span<const std::byte> data) {
    return add(name, as_text(data));
  }
  std::uint64_t add_with_gnu_name(std::string_view name, std::string_view data) {
    add("././@LongLink", std::string(name) + '\0', 'L');
    return add(name.substr(0, 100), data);
  }
  // `attributes`: as pax_record() makes them.
  std::uint64_t add_with_pax(std::string_view attributes, std::string_view name,
                             std::string_view data) {
    add("PaxHeaders/x", attributes, 'x');
    return add(name, data);
  }

  // A header block whose checksum is to be made by append_header().
  static std::string header(std::string_view name, std::uint64_t bytes, char type) {
    std::string block(kBlock, '\0');
    put(block, 0, name);
    put(block, 100, "0000644");
    put(block, 108, "0000000");
    put(block, 116, "0000000");
    put(block, 124, octal(bytes, 11));
    put(block, 136, "00000000000");
    block[156] = type;
    put(block, 257,
        std::string_view("ustar\0"
                         "00",
                         8));
    return block;
  }
  void append_header(std::string block) {
    block.replace(148, 8, 8, ' ');
    std::uint64_t sum = 0;
    for (const char byte : block) sum += static_cast<unsigned char>(byte);
    block.replace(148, 8, octal(sum, 6) + std::string("\0 ", 2));
    bytes_ += block;
  }
  std::uint64_t append_data(std::string_view data) {
    const std::uint64_t offset = bytes_.size();
    bytes_ += data;
    bytes_.resize((bytes_.size() + kBlock - 1) / kBlock * kBlock, '\0');
    return offset;
  }
  static void put(std::string& block, std::size_t offset, std::string_view text) {
    block.replace(offset, text.size(), text);
  }
  static std::string octal(std::uint64_t value, std::size_t digits) {
    std::string out(digits, '0');
    for (std::size_t i = digits; i-- > 0; value /= 8) out[i] = static_cast<char>('0' + value % 8);
    return out;
  }
  // "<bytes> <key>=<value>\n", its own length included.
  static std::string pax_record(std::string_view key, std::string_view value) {
    const std::size_t content = key.size() + value.size() + 3;
    std::size_t total = content + 1;
    while (content + std::to_string(total).size() != total) ++total;
    return std::to_string(total) + " " + std::string(key) + "=" + std::string(value) + "\n";
  }

  // What there is so far: a tar without its end.
  const std::string& bytes() const { return bytes_; }
  // With the two blocks of zeros that end a tar.
  std::string finished() const { return bytes_ + std::string(2 * kBlock, '\0'); }

 private:
  std::string bytes_;
};

}  // namespace bit::test
