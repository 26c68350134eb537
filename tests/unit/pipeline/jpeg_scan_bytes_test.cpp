// Coded bytes of a scan: restart markers and stuffed zeros at every alignment, markers that end the
// search, and data that is cut short, against a plain reading byte by byte.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <memory>
#include <string>

#include "pipeline/jpeg/scan_bytes_simd.h"
#include "tests/support/every_target.h"

namespace bit::pipeline {
namespace {

using Bytes = std::vector<std::uint8_t>;
using Starts = std::vector<std::uint32_t>;
using test::on_every_target;

constexpr std::size_t kAll = 1 << 20;

// Ends where the bytes end, so that a sanitizer sees a read past them.
class Exact {
 public:
  explicit Exact(const Bytes& bytes)
      : size_(bytes.size()), bytes_(std::make_unique<std::uint8_t[]>(bytes.size())) {
    std::copy(bytes.begin(), bytes.end(), bytes_.get());
  }
  operator std::span<const std::uint8_t>() const { return {bytes_.get(), size_}; }

 private:
  std::size_t size_;
  std::unique_ptr<std::uint8_t[]> bytes_;
};

Starts restarts_of(const Bytes& coded, std::size_t most = kAll) {
  Starts starts = {7, 8, 9};  // from the image before
  find_restarts(Exact(coded), most, starts);
  return starts;
}

struct Unstuffed {
  Bytes bytes;
  std::size_t taken = 0;
  bool operator==(const Unstuffed&) const = default;
};

void PrintTo(const Unstuffed& unstuffed, std::ostream* out) {
  *out << unstuffed.bytes.size() << " bytes of " << unstuffed.taken;
}

// Of the first `size` bytes; the others are behind them.
Unstuffed unstuff(const Bytes& coded, std::size_t size) {
  Unstuffed result{Bytes(size + kUnstuffSlack, 0xAA), 99};
  const Exact exact(coded);
  const std::span<const std::uint8_t> all = exact;
  result.bytes.resize(
      bit::pipeline::unstuff(all.first(size), all.size(), result.bytes.data(), result.taken));
  return result;
}

Unstuffed unstuff(const Bytes& coded) { return unstuff(coded, coded.size()); }

// Byte by byte: T.81 §B.1.1.5.
Starts plain_restarts(const Bytes& coded, std::size_t most) {
  Starts starts = {0};
  for (std::size_t i = 0; i + 1 < coded.size() && starts.size() < most; ++i) {
    if (coded[i] != 0xFF || coded[i + 1] == 0) continue;
    if (coded[i + 1] < 0xD0 || coded[i + 1] > 0xD7) break;
    starts.push_back(static_cast<std::uint32_t>(i + 2));
  }
  return starts;
}

Unstuffed plain_unstuffed(const Bytes& coded) {
  Unstuffed result;
  while (result.taken < coded.size()) {
    const std::uint8_t byte = coded[result.taken];
    if (byte == 0xFF && (result.taken + 1 == coded.size() || coded[result.taken + 1] != 0)) break;
    result.bytes.push_back(byte);
    result.taken += byte == 0xFF ? 2 : 1;
  }
  return result;
}

TEST(FindRestarts, finds_markers_at_every_place_around_the_borders_of_vectors) {
  on_every_target([](const char* target) {
    for (std::uint32_t at = 0; at < 100; ++at) {
      for (std::uint32_t size = at + 2; size < at + 70; ++size) {
        Bytes coded(size, 0x5A);
        coded[at] = 0xFF;
        coded[at + 1] = static_cast<std::uint8_t>(0xD0 + at % 8);
        ASSERT_EQ(restarts_of(coded), (Starts{0, at + 2})) << target << " " << at << " of " << size;
      }
    }
  });
}

TEST(FindRestarts, finds_markers_next_to_each_other) {
  on_every_target([](const char* target) {
    for (std::uint32_t before = 0; before < 66; ++before) {
      Bytes coded(before, 0xD0);  // no marker without its 0xFF
      Starts expected = {0};
      for (std::uint32_t i = 0; i < 70; ++i) {
        coded.push_back(0xFF);
        coded.push_back(static_cast<std::uint8_t>(0xD0 + i % 8));
        expected.push_back(before + 2 * i + 2);
      }
      ASSERT_EQ(restarts_of(coded), expected) << target << " " << before;
      for (const std::size_t most : {1U, 2U, 17U, 70U}) {
        const Starts first(expected.begin(), expected.begin() + static_cast<std::ptrdiff_t>(most));
        ASSERT_EQ(restarts_of(coded, most), first) << target << " " << before;
      }
    }
  });
}

TEST(FindRestarts, ends_at_any_other_marker) {
  on_every_target([](const char* target) {
    for (const std::uint8_t marker : Bytes{0xD9, 0xD8, 0xCF, 0x01, 0xC4, 0xFF}) {
      for (std::uint32_t at = 4; at < 100; ++at) {
        Bytes coded(200, 0x00);
        coded[1] = coded[150] = 0xFF;
        coded[2] = coded[151] = 0xD0;
        coded[at] = 0xFF;
        coded[at + 1] = marker;
        ASSERT_EQ(restarts_of(coded), (Starts{0, 3})) << target << " " << at;
      }
    }
  });
}

TEST(FindRestarts, knows_that_fill_bytes_come_before_a_marker) {
  on_every_target([](const char*) {
    Bytes coded(64, 0);
    coded[30] = coded[31] = 0xFF;  // legal, but rare: left to libjpeg
    coded[32] = 0xD0;
    EXPECT_EQ(restarts_of(coded), Starts{0});
  });
}

TEST(FindRestarts, reads_nothing_behind_the_end) {
  on_every_target([](const char*) {
    EXPECT_EQ(restarts_of({}), Starts{0});
    EXPECT_EQ(restarts_of({0xFF}), Starts{0});
    EXPECT_EQ(restarts_of({0xFF, 0xD0}), (Starts{0, 2}));
    for (std::size_t size = 1; size < 100; ++size) {
      Bytes coded(size, 0x33);
      coded.back() = 0xFF;
      ASSERT_EQ(restarts_of(coded), Starts{0});
    }
  });
}

TEST(Unstuff, takes_zeros_out_after_0xFF_at_every_place) {
  on_every_target([](const char* target) {
    for (std::size_t at = 0; at < 70; ++at) {
      for (std::size_t after = 0; after < 70; ++after) {
        Bytes coded(at, 0x11), expected(at, 0x11);
        coded.insert(coded.end(), {0xFF, 0x00});
        expected.push_back(0xFF);
        coded.insert(coded.end(), after, 0x00);  // zeros that stand for themselves
        expected.insert(expected.end(), after, 0x00);
        ASSERT_EQ(unstuff(coded), (Unstuffed{expected, coded.size()})) << target << " " << at;
      }
    }
  });
}

TEST(Unstuff, ends_at_a_marker_and_at_a_lone_0xFF) {
  on_every_target([](const char* target) {
    for (std::size_t at = 0; at < 70; ++at) {
      for (const std::uint8_t marker : Bytes{0xD0, 0xD7, 0xD9, 0x01, 0xFF}) {
        Bytes coded(at, 0x11);
        coded.insert(coded.end(), {0xFF, marker, 0x22, 0xFF, 0x00});
        ASSERT_EQ(unstuff(coded), (Unstuffed{Bytes(at, 0x11), at})) << target << " " << at;
      }
      Bytes cut_short(at, 0x11);
      cut_short.push_back(0xFF);
      ASSERT_EQ(unstuff(cut_short), (Unstuffed{Bytes(at, 0x11), at})) << target << " " << at;
    }
    EXPECT_EQ(unstuff({}), Unstuffed{});
  });
}

// Bytes with many 0xFF, zeros and markers among them.
RC_GTEST_PROP(ScanBytes, are_read_as_byte_by_byte, ()) {
  const auto byte =
      rc::gen::weightedOneOf<std::uint8_t>({{2, rc::gen::just<std::uint8_t>(0xFF)},
                                            {4, rc::gen::just<std::uint8_t>(0x00)},
                                            {2, rc::gen::inRange<std::uint8_t>(0xD0, 0xD8)},
                                            {1, rc::gen::arbitrary<std::uint8_t>()}});
  for (int i = 0; i < 20; ++i) {
    Bytes coded = *rc::gen::container<Bytes>(byte);
    // Most of it legal, so that the reading gets far.
    for (std::size_t k = 0; k + 1 < coded.size() && i % 2 == 0; ++k) {
      if (coded[k] == 0xFF && (coded[k + 1] & 0xF8) != 0xD0) coded[k + 1] = 0;
    }
    const auto most = *rc::gen::inRange<std::size_t>(1, 20);
    const auto size = *rc::gen::inRange<std::size_t>(0, coded.size() + 1);
    const Bytes begin(coded.begin(), coded.begin() + static_cast<std::ptrdiff_t>(size));
    on_every_target([&](const char* target) {
      if (restarts_of(coded, most) != plain_restarts(coded, most)) RC_FAIL(target);
      if (!(unstuff(coded) == plain_unstuffed(coded))) RC_FAIL(target);
      if (!(unstuff(coded, size) == plain_unstuffed(begin))) RC_FAIL(target);
    });
  }
}

}  // namespace
}  // namespace bit::pipeline
