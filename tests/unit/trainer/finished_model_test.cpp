// model.safetensors is taken for finished only when it is exactly that.
#include "trainer/finished_model.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <fstream>

#include "storage/file.h"
#include "tests/support/temp_directory.h"

namespace bit::trainer {
namespace {

std::vector<Parameter> parameters_of(float value) {
  return {{"norm.weight", at::full({3}, value), false}, {"norm.bias", at::full({3}, value), false}};
}

class FinishedModelTest : public testing::Test {
 protected:
  FinishedModel at_step(std::uint64_t step) const {
    return {directory_ / "model.safetensors", "R26x1", step};
  }
  test::TempDirectory directory_;
};

TEST_F(FinishedModelTest, is_there_once_it_was_written) {
  EXPECT_FALSE(is_written(at_step(4), parameters_of(1)));
  write_model(at_step(4), parameters_of(1));
  EXPECT_TRUE(is_written(at_step(4), parameters_of(1)));
  EXPECT_EQ(storage::posix_file_system().list(directory_.path()).size(), 1u);
}

TEST_F(FinishedModelTest, of_another_step_name_or_weights_is_not_it) {
  write_model(at_step(4), parameters_of(1));
  EXPECT_FALSE(is_written(at_step(8), parameters_of(1)));
  EXPECT_FALSE(is_written(at_step(4), parameters_of(2)));
  FinishedModel other = at_step(4);
  other.name = "R50x1";
  EXPECT_FALSE(is_written(other, parameters_of(1)));
  write_model(at_step(8), parameters_of(2));
  EXPECT_TRUE(is_written(at_step(8), parameters_of(2)));
}

TEST_F(FinishedModelTest, a_damaged_file_is_not_it) {
  std::ofstream(at_step(4).path) << "no safetensors";
  EXPECT_FALSE(is_written(at_step(4), parameters_of(1)));
}

}  // namespace
}  // namespace bit::trainer
