// Weights of files into parameters, alone and on several ranks.
#include "trainer/parameter_weights.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>

#include "cluster/thread_communicator.h"
#include "storage/tfrecord.h"
#include "tests/support/temp_directory.h"
#include "trainer/initialization.h"
#include "trainer/weight_export.h"

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
  const WeightSource file(write(source));
  EXPECT_EQ(file.weights().size(), source.parameters().size());
  EXPECT_TRUE(import_weights(file, target.parameters(), /*head_optional=*/false));
  for (std::size_t i = 0; i < source.parameters().size(); ++i) {
    EXPECT_TRUE(same(source.parameters()[i], target.parameters()[i]))
        << source.parameters()[i].name;
    EXPECT_TRUE(target.parameters()[i].leaf().requires_grad());
  }
}

TEST_F(Weights, of_the_published_layout_come_back_as_they_were) {
  const ResNetV2 source = tiny(10, 1);
  const ResNetV2 target = tiny(10, 2);
  for (const WeightFormat format : {WeightFormat::kBit, WeightFormat::kBigVision}) {
    const std::string npz = directory_ / "weights.npz";
    export_weights(WeightSource(write(source)), format, /*with_head=*/true, npz);
    EXPECT_TRUE(import_weights(WeightSource(npz), target.parameters(), /*head_optional=*/false));
    for (std::size_t i = 0; i < source.parameters().size(); ++i) {
      EXPECT_TRUE(same(source.parameters()[i], target.parameters()[i]))
          << source.parameters()[i].name;
    }
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
  const WeightSource file(write(source));
  EXPECT_FALSE(import_weights(file, target.parameters(), /*head_optional=*/true));
  EXPECT_TRUE(same(source.parameters()[0], target.parameters()[0]));
  const std::size_t last = target.parameters().size() - 1;
  EXPECT_EQ(target.parameters()[last].value.numel(), 4);
}

TEST_F(Weights, without_a_head_leave_the_head_alone_where_that_is_allowed) {
  edit_ = [](std::vector<storage::TensorView>& views) { views.resize(views.size() - 2); };
  const ResNetV2 target = tiny(10, 2);
  EXPECT_FALSE(import_weights(WeightSource(write(tiny(10, 1))), target.parameters(),
                              /*head_optional=*/true));
}

TEST_F(Weights, that_rank_0_reads_reach_all_ranks) {
  const ResNetV2 source = tiny(10, 1);
  const std::string path = write(source);
  cluster::run_ranks_as_threads(3, [&](cluster::Communicator& communicator) {
    const ResNetV2 target = tiny(10, static_cast<std::uint64_t>(communicator.rank()) + 2);
    // Only rank 0 can see the file.
    const std::string seen = communicator.rank() == 0 ? path : "/nowhere";
    EXPECT_TRUE(load_weights(seen, communicator, target.parameters()));
    for (std::size_t i = 0; i < source.parameters().size(); ++i) {
      EXPECT_TRUE(same(source.parameters()[i], target.parameters()[i]));
    }
  });
}

void expect_refusal(const std::string& path, const ResNetV2& target, const std::string& reason) {
  const at::Tensor before = target.parameters()[0].value.detach().clone();
  try {
    import_weights(WeightSource(path), target.parameters(), /*head_optional=*/false);
    FAIL() << "accepted";
  } catch (const storage::DataError& error) {
    EXPECT_EQ(std::string(error.what()), path + ": " + reason);
  }
  EXPECT_TRUE(at::equal(before, target.parameters()[0].value)) << "changed before the check";
}

TEST_F(Weights, of_other_classes_are_refused_by_name_and_change_nothing) {
  expect_refusal(write(tiny(10, 1)), tiny(4, 2),
                 "head.fc.weight is [10, 1024, 1, 1], wanted [4, 1024, 1, 1], head.fc.bias is "
                 "[10], wanted [4]; the file seems to hold R26x0.5 with 10 classes");
}

TEST_F(Weights, that_lack_a_tensor_are_refused_by_its_name) {
  edit_ = [](std::vector<storage::TensorView>& views) { views.erase(views.begin() + 1); };
  expect_refusal(write(tiny(10, 1)), tiny(10, 2),
                 "missing: stages.0.blocks.0.norm1.weight; the file seems to hold R26x0.5 with 10 "
                 "classes");
}

TEST_F(Weights, with_more_than_the_network_are_refused_by_its_name) {
  const float one = 1;
  edit_ = [&](std::vector<storage::TensorView>& views) {
    views.push_back({"stages.0.blocks.7.conv1.weight",
                     storage::DType::kF32,
                     {1, 1, 1, 1},
                     std::as_bytes(std::span(&one, 1))});
  };
  expect_refusal(write(tiny(10, 1)), tiny(10, 2),
                 "not expected: stages.0.blocks.7.conv1.weight; the file seems to hold 8, 2, 2, 2 "
                 "units of width 0.5 with 10 classes");
}

}  // namespace
}  // namespace bit::trainer
