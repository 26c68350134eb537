#include "trainer/tensor_memory.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <thread>
#include <vector>

namespace bit::trainer {
namespace {

class TensorMemory : public testing::Test {
 protected:
  TensorMemory() { keep_tensor_memory(); }
};

at::Tensor filled(std::int64_t bytes, int value) {
  return at::full({bytes}, value, at::TensorOptions().dtype(at::kByte));
}

bool is_filled(const at::Tensor& tensor, int value) {
  return at::equal(tensor, at::full_like(tensor, value));
}

// Blocks are cut, given back in any order and joined again, small ones go another way.
void take_and_give_back(unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::pair<at::Tensor, int>> held;
  for (int i = 0; i < 400; ++i) {
    if (held.size() > 12 || (!held.empty() && random() % 2 == 0)) {
      const std::size_t gone = random() % held.size();
      ASSERT_TRUE(is_filled(held[gone].first, held[gone].second));
      held.erase(held.begin() + static_cast<std::ptrdiff_t>(gone));
    } else {
      const std::int64_t bytes = 1 + random() % (std::uint32_t{1} << (10 + random() % 14));
      const int value = static_cast<int>(random() % 256);
      held.emplace_back(filled(bytes, value), value);
      const auto address = reinterpret_cast<std::uintptr_t>(held.back().first.const_data_ptr());
      ASSERT_EQ(address % 64, 0U);
    }
  }
  for (const auto& [tensor, value] : held) ASSERT_TRUE(is_filled(tensor, value));
}

TEST_F(TensorMemory, gives_every_tensor_its_own_bytes) { take_and_give_back(1); }

TEST_F(TensorMemory, serves_several_threads) {
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < 3; ++i) threads.emplace_back([i] { take_and_give_back(10 + i); });
  for (std::thread& thread : threads) thread.join();
}

TEST_F(TensorMemory, gives_a_freed_block_out_again) {
  constexpr std::int64_t kBytes = std::int64_t{33} << 20;
  at::Tensor tensor = filled(kBytes, 1);
  const void* first = tensor.const_data_ptr();
  tensor = at::Tensor();
  EXPECT_EQ(filled(kBytes, 2).const_data_ptr(), first);
}

TEST_F(TensorMemory, grows_for_a_tensor_larger_than_what_it_asks_for_at_once) {
  const at::Tensor tensor = filled(std::int64_t{200} << 20, 7);
  EXPECT_TRUE(is_filled(tensor, 7));
}

TEST_F(TensorMemory, keeps_an_empty_tensor_empty) { EXPECT_EQ(at::empty({0}).numel(), 0); }

}  // namespace
}  // namespace bit::trainer
