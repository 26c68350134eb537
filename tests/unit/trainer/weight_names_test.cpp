#include "trainer/weight_names.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>

#include "storage/tfrecord.h"
#include "tests/support/temp_directory.h"
#include "trainer/initialization.h"

namespace bit::trainer {
namespace {

ResNetV2 tiny(int classes, std::uint64_t seed) {
  return ResNetV2(parse_model_name("R26x0.5", classes), Precision::kFp32, seed);
}

class Weights : public testing::Test {
 protected:
  std::string write(const ResNetV2& model) {
    std::vector<at::Tensor> values;
    std::vector<storage::TensorView> views = export_views(model.parameters(), values);
    if (edit_) edit_(views);
    const std::string path = directory_ / "model.safetensors";
    storage::write_safetensors(storage::posix_file_system(), path, views);
    return path;
  }

  test::TempDirectory directory_;
  std::function<void(std::vector<storage::TensorView>&)> edit_;
};

bool same(const Parameter& a, const Parameter& b) {
  return a.name == b.name && at::equal(a.value, b.value);
}

TEST_F(Weights, come_back_as_they_were) {
  const ResNetV2 source = tiny(10, 1);
  he_normal(source.parameters()[source.parameters().size() - 2].value.detach(), 1, 1000);
  const ResNetV2 target = tiny(10, 2);
  const storage::SafetensorsFile file(write(source));
  EXPECT_EQ(file.tensors().size(), source.parameters().size());
  EXPECT_TRUE(import_weights(file, target.parameters(), /*head_optional=*/false));
  for (std::size_t i = 0; i < source.parameters().size(); ++i) {
    EXPECT_TRUE(same(source.parameters()[i], target.parameters()[i]))
        << source.parameters()[i].name;
    EXPECT_TRUE(target.parameters()[i].leaf().requires_grad());
  }
}

TEST_F(Weights, are_written_in_the_layout_of_timm) {
  const ResNetV2 source = tiny(7, 1);
  const storage::SafetensorsFile file(write(source));
  const storage::TensorView* head = file.find("head.fc.weight");
  ASSERT_NE(head, nullptr);
  EXPECT_EQ(head->shape, (std::vector<std::int64_t>{7, 1024, 1, 1}));
  const storage::TensorView* stem = file.find("stem.conv.weight");
  ASSERT_NE(stem, nullptr);
  EXPECT_EQ(stem->shape, (std::vector<std::int64_t>{32, 3, 7, 7}));
  const at::Tensor first = source.parameters()[0].value.detach();
  float value = 0;  // of output 1, input 2, row 3, column 4
  std::memcpy(&value, stem->bytes.data() + 4 * (((1 * 3 + 2) * 7 + 3) * 7 + 4), sizeof(value));
  EXPECT_EQ(value, first[1][2][3][4].item<float>());
}

TEST_F(Weights, leave_a_head_of_other_classes_alone_where_that_is_allowed) {
  const ResNetV2 source = tiny(10, 1);
  const ResNetV2 target = tiny(4, 2);
  const storage::SafetensorsFile file(write(source));
  EXPECT_FALSE(import_weights(file, target.parameters(), /*head_optional=*/true));
  EXPECT_TRUE(same(source.parameters()[0], target.parameters()[0]));
  const std::size_t last = target.parameters().size() - 1;
  EXPECT_EQ(target.parameters()[last].value.numel(), 4);
}

void expect_refusal(const storage::SafetensorsFile& file, const ResNetV2& target,
                    const std::string& reason) {
  const at::Tensor before = target.parameters()[0].value.detach().clone();
  try {
    import_weights(file, target.parameters(), /*head_optional=*/false);
    FAIL() << "accepted";
  } catch (const storage::DataError& error) {
    EXPECT_EQ(std::string(error.what()), reason);
  }
  EXPECT_TRUE(at::equal(before, target.parameters()[0].value)) << "changed before the check";
}

TEST_F(Weights, of_other_classes_are_refused_by_name_and_change_nothing) {
  const storage::SafetensorsFile file(write(tiny(10, 1)));
  expect_refusal(file, tiny(4, 2),
                 "weights: head.fc.weight [4, 1024, 1, 1] F32 is expected, the file has "
                 "[10, 1024, 1, 1] F32");
}

TEST_F(Weights, that_lack_a_tensor_are_refused_by_its_name) {
  edit_ = [](std::vector<storage::TensorView>& views) { views.erase(views.begin() + 1); };
  const storage::SafetensorsFile file(write(tiny(10, 1)));
  expect_refusal(file, tiny(10, 2),
                 "weights: stages.0.blocks.0.norm1.weight [32] F32 is missing among the file's 80 "
                 "tensors");
}

}  // namespace
}  // namespace bit::trainer
