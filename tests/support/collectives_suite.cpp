#include "tests/support/collectives_suite.h"

#include <algorithm>
#include <cstring>
#include <thread>

namespace bit::test {
namespace {

using cluster::Communicator;
using cluster::ReduceOp;
using cluster::ReduceType;

// Nothing, one element, and sizes on both sides of the thresholds of MPI's algorithms.
constexpr std::size_t kSizes[] = {0, 1, 7, 1024, 100'003};

class Checker {
 public:
  explicit Checker(Communicator& communicator) : communicator_(communicator) {}

  void expect(bool good, const std::string& what) {
    if (!good) failures_.push_back("rank " + std::to_string(communicator_.rank()) + ": " + what);
  }
  std::vector<std::string> failures() const { return failures_; }

 private:
  Communicator& communicator_;
  std::vector<std::string> failures_;
};

// Small whole numbers, so that every order of summation gives the same value in every type.
template <typename T>
T value_of(int rank, std::size_t i) {
  return static_cast<T>((static_cast<std::size_t>(rank) * 31 + i) % 101) - T{50};
}

template <typename T>
void check_all_reduce(Communicator& communicator, Checker& checker, const std::string& type) {
  for (const std::size_t size : kSizes) {
    for (const ReduceOp op : {ReduceOp::kSum, ReduceOp::kMin, ReduceOp::kMax}) {
      std::vector<T> values(size);
      for (std::size_t i = 0; i < size; ++i) values[i] = value_of<T>(communicator.rank(), i);
      communicator.all_reduce(std::span<T>(values), op);
      bool good = true;
      for (std::size_t i = 0; i < size; ++i) {
        T expected = value_of<T>(0, i);
        for (int r = 1; r < communicator.size(); ++r) {
          const T next = value_of<T>(r, i);
          if (op == ReduceOp::kSum) expected += next;
          if (op == ReduceOp::kMin) expected = std::min(expected, next);
          if (op == ReduceOp::kMax) expected = std::max(expected, next);
        }
        good = good && values[i] == expected;
      }
      checker.expect(good, "all_reduce of " + std::to_string(size) + " " + type + ", op " +
                               std::to_string(static_cast<int>(op)));
    }
  }
}

// Sums of values that do not add exactly: the same bits each time, and on every rank.
void check_same_bits(Communicator& communicator, Checker& checker) {
  for (const std::size_t size : kSizes) {
    std::string first;
    for (int time = 0; time < 5; ++time) {
      std::vector<float> values(size);
      for (std::size_t i = 0; i < size; ++i) {
        const int exponent = (communicator.rank() * 7 + static_cast<int>(i % 13)) % 20;
        values[i] = 1.1f * static_cast<float>(1 << exponent) / 3.0f;
      }
      communicator.all_reduce(std::span<float>(values));
      const std::string bits(reinterpret_cast<const char*>(values.data()), size * sizeof(float));
      if (time == 0) first = bits;
      checker.expect(bits == first, "a sum of " + std::to_string(size) + " floats changed");
    }
    const std::string sampled = first.substr(0, 400'000);
    checker.expect(communicator.broadcast(sampled) == sampled,
                   "ranks hold different sums of " + std::to_string(size) + " floats");
  }
}

void check_bytes(Communicator& communicator, Checker& checker) {
  const auto ranks = static_cast<std::size_t>(communicator.size());
  for (int root = 0; root < communicator.size(); ++root) {
    for (const std::size_t size : kSizes) {
      const auto fill = static_cast<std::byte>(root + 1);
      std::vector<std::byte> data(size, communicator.rank() == root ? fill : std::byte{0});
      communicator.broadcast(std::span<std::byte>(data), root);
      checker.expect(std::count(data.begin(), data.end(), fill) == static_cast<long>(size),
                     "broadcast of " + std::to_string(size) + " from " + std::to_string(root));
    }
  }
  for (const std::size_t size : kSizes) {
    std::vector<std::byte> own(size), all(size * ranks);
    for (std::size_t i = 0; i < size; ++i) {
      own[i] = static_cast<std::byte>(communicator.rank() * 50 + static_cast<int>(i % 50));
    }
    communicator.start_all_gather(own, all)->wait();
    bool good = true;
    for (std::size_t i = 0; i < all.size(); ++i) {
      good = good && all[i] == static_cast<std::byte>(i / size * 50 + i % size % 50);
    }
    checker.expect(good, "all_gather of " + std::to_string(size));
  }
}

void check_texts(Communicator& communicator, Checker& checker) {
  const int rank = communicator.rank();
  const int last = communicator.size() - 1;
  const std::string from_last = communicator.broadcast(rank == last ? "from the last" : "no", last);
  checker.expect(from_last == "from the last", "broadcast of a text");
  checker.expect(communicator.broadcast(rank == 0 ? "" : "longer").empty(), "an empty text");
  const std::string zeros("a\0b", 3);
  checker.expect(communicator.broadcast(rank == 0 ? zeros : "") == zeros, "a text with a zero");

  // Rank r gives a text of r * 1000 characters: rank 0's is empty.
  const auto texts = communicator.all_gather(
      std::string(static_cast<std::size_t>(rank) * 1000, static_cast<char>('a' + rank)));
  checker.expect(texts.size() == static_cast<std::size_t>(communicator.size()), "texts gathered");
  for (std::size_t r = 0; r < texts.size(); ++r) {
    checker.expect(texts[r] == std::string(r * 1000, static_cast<char>('a' + r)),
                   "the text of rank " + std::to_string(r));
  }
  for (const std::string& text : communicator.all_gather("")) {
    checker.expect(text.empty(), "empty texts gathered");
  }
  communicator.barrier();
}

// Several collectives in flight, finished in the opposite order.
void check_overlap(Communicator& communicator, Checker& checker) {
  constexpr std::size_t kBuckets = 8, kValues = 50'000;
  std::vector<std::vector<float>> buckets;
  std::vector<std::unique_ptr<cluster::PendingCollective>> pending;
  for (std::size_t b = 0; b < kBuckets; ++b) {
    buckets.emplace_back(kValues, static_cast<float>(b + 1));
  }
  for (auto& bucket : buckets) {
    pending.push_back(communicator.start_all_reduce(bucket.data(), bucket.size(), ReduceType::kF32,
                                                    ReduceOp::kSum));
  }
  for (std::size_t b = kBuckets; b-- > 0;) {
    pending[b]->wait();
    const float expected = static_cast<float>(b + 1) * static_cast<float>(communicator.size());
    checker.expect(
        std::count(buckets[b].begin(), buckets[b].end(), expected) == static_cast<long>(kValues),
        "bucket " + std::to_string(b) + " of several in flight");
  }
}

// More than the 25 MB of a usual bucket.
void check_large(Communicator& communicator, Checker& checker) {
  std::vector<float> values(7'000'003, static_cast<float>(communicator.rank() + 1));
  communicator.all_reduce(std::span<float>(values));
  const int ranks = communicator.size();
  const auto expected = static_cast<float>(ranks * (ranks + 1) / 2);
  checker.expect(
      std::count(values.begin(), values.end(), expected) == static_cast<long>(values.size()),
      "a sum of 28 MB");
}

// Two threads work at once, each on its own communicator; ranks start their collectives in
// different orders.
void check_duplicates(Communicator& communicator, Checker& checker) {
  constexpr int kRounds = 200;
  const auto duplicate = communicator.duplicate();
  checker.expect(duplicate->rank() == communicator.rank(), "the rank of a duplicate");
  checker.expect(duplicate->size() == communicator.size(), "the size of a duplicate");
  const auto sum_rounds = [](Communicator& own, std::int64_t factor) {
    bool good = true;
    for (std::int64_t round = 0; round < kRounds; ++round) {
      std::vector<std::int64_t> values(static_cast<std::size_t>(round) + 1, factor * round);
      own.all_reduce(std::span<std::int64_t>(values));
      good = good && std::all_of(values.begin(), values.end(),
                                 [&](auto v) { return v == factor * round * own.size(); });
    }
    return good;
  };
  bool other_good = false;
  std::jthread other([&] { other_good = sum_rounds(*duplicate, 3); });
  checker.expect(sum_rounds(communicator, 5), "the original, beside its duplicate");
  other.join();
  checker.expect(other_good, "the duplicate, beside its original");
}

}  // namespace

std::vector<std::string> check_collectives(Communicator& communicator) {
  Checker checker(communicator);
  check_all_reduce<float>(communicator, checker, "f32");
  check_all_reduce<double>(communicator, checker, "f64");
  check_all_reduce<std::int64_t>(communicator, checker, "i64");
  check_same_bits(communicator, checker);
  check_bytes(communicator, checker);
  check_texts(communicator, checker);
  check_overlap(communicator, checker);
  check_large(communicator, checker);
  check_duplicates(communicator, checker);
  return checker.failures();
}

}  // namespace bit::test
