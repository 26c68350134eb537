// configs/ against the papers: every recipe is read as bit-launch reads it and held against a table
// that was written by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <span>

#include "launcher/config.h"
#include "launcher/plan.h"
#include "storage/file.h"

namespace bit::launcher {
namespace {

using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

struct UpstreamSet {
  const char* name;  // of the files: bit-<name>-<network>.yaml
  DatasetFacts facts;
  const char* loss;
  double epochs;
  std::uint64_t steps_per_epoch;
  std::uint64_t total_steps;
  std::vector<std::uint64_t> drops;
};

// BiT paper, sections 3.1 and 3.3. By hand:
//   1,281,167 = 312 x 4096 + 3215, 14,197,122 = 3466 x 4096 + 386, 300,000,000 = 73242 x 4096 +
//   768; what does not fill a batch is left out. 90 x 312 = 28080, 90 x 3466 = 311940, 40 x 73242 =
//   2929680. Drops after 30, 60 and 80 epochs, for BiT-L after 10, 23, 30 and 37.
const std::vector<UpstreamSet>& upstream_sets() {
  static const std::vector<UpstreamSet> sets = {
      {"s", {1281167, 1000, 140000000000, 0}, "softmax", 90, 312, 28080, {9360, 18720, 24960}},
      {"m",
       {14197122, 21843, 1300000000000, 0},
       "sigmoid",
       90,
       3466,
       311940,
       {103980, 207960, 277280}},
      {"l",
       {300000000, 18291, 30000000000000, 0},
       "sigmoid",
       40,
       73242,
       2929680,
       {732420, 1684566, 2197260, 2709954}}};
  return sets;
}

struct Network {
  const char* name;
  const char* in_file_names;
  // timm's training on an RTX 3090, images a second: R50x1 at 224 pixels, R152x4 at 480, the others
  // at 448; those times the quotient of the multiply-adds at that size and at 224.
  double images_per_second;
};
constexpr Network kNetworks[] = {
    {"R50x1", "r50x1", 587},           {"R101x1", "r101x1", 84.6 * 3.94},
    {"R50x3", "r50x3", 34.9 * 3.94},   {"R152x2", "r152x2", 22.7 * 3.94},
    {"R101x3", "r101x3", 18.0 * 3.94}, {"R152x4", "r152x4", 4.9 * 4.52}};

std::string path_of(const std::string& file) {
  return std::string(BIT_SOURCE_DIR "/configs/") + file;
}
std::string file_of(const UpstreamSet& set, const Network& network) {
  return std::string("bit-") + set.name + "-" + network.in_file_names + ".yaml";
}

RunPlan plan_of(const LoadedConfig& loaded, const DatasetFacts& facts) {
  cluster::Topology topology;
  topology.hosts.resize(64);
  topology.local_ranks = 1;
  topology.host_cores = topology.allowed_cores = 32;
  const bool evaluates = !loaded.config.evaluate().split().empty();
  const DatasetFacts validation = {50000, facts.classes, 6000000000, 0};
  return make_plan(loaded, facts, evaluates ? std::optional(validation) : std::nullopt, topology);
}

// Besides what is said of this machine's CPU.
std::vector<std::string> warnings_of(const RunPlan& plan) {
  std::vector<std::string> warnings;
  for (const std::string& warning : plan.warnings) {
    if (warning.find("avx512_bf16") == std::string::npos) warnings.push_back(warning);
  }
  return warnings;
}

template <typename Check>
void for_each_recipe(Check check) {
  for (const UpstreamSet& set : upstream_sets()) {
    for (const Network& network : kNetworks) {
      SCOPED_TRACE(file_of(set, network));
      check(set, network, load_config(path_of(file_of(set, network)), {}));
    }
  }
}

TEST(Recipes, are_there_for_every_network_and_set_and_no_others) {
  std::set<std::string> expected = {"quickstart.yaml", "big-vision-bit-i21k-r50x1.yaml",
                                    "big-vision-bit-i1k-r50x1.yaml"};
  for (const UpstreamSet& set : upstream_sets()) {
    for (const Network& network : kNetworks) expected.insert(file_of(set, network));
  }
  std::set<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator(BIT_SOURCE_DIR "/configs")) {
    found.insert(entry.path().filename());
  }
  EXPECT_EQ(found, expected);
}

TEST(Recipes, train_the_network_of_their_name_on_the_classes_of_their_set) {
  for_each_recipe([](const UpstreamSet& set, const Network& network, const LoadedConfig& loaded) {
    const auto& config = loaded.config;
    EXPECT_EQ(config.model().name(), network.name);
    EXPECT_EQ(config.data().classes(), set.facts.classes);
    EXPECT_EQ(config.model().loss(), set.loss);
    EXPECT_EQ(config.output(), std::string("runs/bit-") + set.name + "-" + network.in_file_names);
  });
}

TEST(Recipes, update_as_the_paper_does) {
  for_each_recipe([](const UpstreamSet&, const Network&, const LoadedConfig& loaded) {
    const auto& config = loaded.config;
    EXPECT_EQ(config.batch(), 4096U);
    EXPECT_EQ(config.optimizer().learning_rate(), 0.48);  // 0.03 x 4096 / 256
    EXPECT_EQ(config.optimizer().momentum(), 0.9);
    EXPECT_EQ(config.optimizer().weight_decay(), 1e-4);
    EXPECT_EQ(config.optimizer().decay(), "coupled");
    EXPECT_EQ(config.optimizer().decay_on(), "kernels");
    EXPECT_EQ(config.optimizer().clip_norm(), 0);
    EXPECT_EQ(config.model().head_bias(), 0);
    EXPECT_EQ(config.model().head_initialization(), "zeros");
  });
}

TEST(Recipes, cut_images_as_the_paper_does) {
  for_each_recipe([](const UpstreamSet& set, const Network&, const LoadedConfig& loaded) {
    const RunPlan plan = plan_of(loaded, set.facts);
    EXPECT_EQ(plan.image_size, 224U);
    const auto& crop = std::get<pipeline::InceptionCropOptions>(plan.crop);
    EXPECT_EQ(crop.area_min, 0.05);
    EXPECT_EQ(crop.area_max, 1);
    EXPECT_EQ(crop.aspect_min, 0.75);
    EXPECT_DOUBLE_EQ(crop.aspect_max, 4.0 / 3);
    EXPECT_TRUE(crop.flip);
  });
}

TEST(Recipes, have_the_papers_schedule) {
  for_each_recipe([](const UpstreamSet& set, const Network&, const LoadedConfig& loaded) {
    const RunPlan plan = plan_of(loaded, set.facts);
    EXPECT_EQ(plan.steps_per_epoch, set.steps_per_epoch);
    EXPECT_EQ(plan.epochs, set.epochs);
    EXPECT_EQ(plan.schedule.kind, trainer::ScheduleKind::kSteps);
    EXPECT_EQ(plan.schedule.total_steps, set.total_steps);
    EXPECT_EQ(plan.schedule.warmup_steps, 5000U);
    EXPECT_EQ(plan.schedule.warmup_start, 0);
    EXPECT_EQ(plan.schedule.drop_factor, 0.1);
    EXPECT_THAT(plan.schedule.drops, ElementsAreArray(set.drops));
    EXPECT_THAT(warnings_of(plan), ::testing::IsEmpty());
  });
}

struct Rate {
  std::uint64_t step;
  double value;
};

// The warm-up of all three: 0.48 x step / 5000, that is 0.000096 a step, up to step 4999.
constexpr Rate kWarmUp[] = {{0, 0},           {1, 0.000096}, {2499, 0.239904},
                            {4999, 0.479904}, {5000, 0.48},  {5001, 0.48}};
// A tenth from the first step after each boundary on (the released code's "greater than"): the step
// before the boundary, the boundary, the step after it; last the last step of the run.
constexpr Rate kBitS[] = {{9359, 0.48},     {9360, 0.48},    {9361, 0.048},   {18719, 0.048},
                          {18720, 0.048},   {18721, 0.0048}, {24959, 0.0048}, {24960, 0.0048},
                          {24961, 0.00048}, {28079, 0.00048}};
constexpr Rate kBitM[] = {{103979, 0.48},    {103980, 0.48},   {103981, 0.048},  {207959, 0.048},
                          {207960, 0.048},   {207961, 0.0048}, {277279, 0.0048}, {277280, 0.0048},
                          {277281, 0.00048}, {311939, 0.00048}};
constexpr Rate kBitL[] = {{732419, 0.48},     {732420, 0.48},     {732421, 0.048},
                          {1684565, 0.048},   {1684566, 0.048},   {1684567, 0.0048},
                          {2197259, 0.0048},  {2197260, 0.0048},  {2197261, 0.00048},
                          {2709953, 0.00048}, {2709954, 0.00048}, {2709955, 0.000048},
                          {2929679, 0.000048}};

TEST(Recipes, have_the_papers_learning_rate_at_every_boundary) {
  const std::map<std::string, std::span<const Rate>> tables = {
      {"s", kBitS}, {"m", kBitM}, {"l", kBitL}};
  for_each_recipe([&](const UpstreamSet& set, const Network&, const LoadedConfig& loaded) {
    const trainer::Schedule schedule = plan_of(loaded, set.facts).schedule;
    for (const std::span<const Rate> table :
         {std::span<const Rate>(kWarmUp), tables.at(set.name)}) {
      for (const Rate& rate : table) {
        EXPECT_DOUBLE_EQ(schedule.learning_rate(rate.step), rate.value) << "step " << rate.step;
      }
    }
    EXPECT_EQ(tables.at(set.name).back().step + 1, schedule.total_steps);
  });
}

std::string text_of(const std::string& path) {
  return storage::read_file(storage::posix_file_system(), path);
}

// "1,100" of "# Cost: about 1,100 GPU hours".
std::string cost_in(const std::string& recipe) {
  std::smatch found;
  return std::regex_search(recipe, found, std::regex("\n# Cost: about ([0-9,]+) GPU hours"))
             ? found[1].str()
             : "";
}

double number_of(std::string text) {
  std::erase(text, ',');
  return std::stod(text);
}

TEST(Recipes, say_their_source_their_cost_and_the_score_to_expect) {
  for (const auto& entry : std::filesystem::directory_iterator(BIT_SOURCE_DIR "/configs")) {
    if (entry.path().filename() == "quickstart.yaml") continue;
    SCOPED_TRACE(entry.path());
    const std::string text = text_of(entry.path());
    EXPECT_THAT(text, HasSubstr("\n# Source: "));
    EXPECT_THAT(text, HasSubstr("\n# Expected: "));
    EXPECT_NE(cost_in(text), "");
    EXPECT_THAT(text, HasSubstr("an estimate"));
  }
}

TEST(Recipes, state_the_cost_that_follows_from_the_images_and_from_what_timm_measured) {
  const std::string page = text_of(BIT_SOURCE_DIR "/docs/recipes.md");
  for (const Network& network : kNetworks) {
    std::string row = std::string("| ") + network.name + " |";
    for (const UpstreamSet& set : upstream_sets()) {
      SCOPED_TRACE(file_of(set, network));
      const std::string cost = cost_in(text_of(path_of(file_of(set, network))));
      const double images = static_cast<double>(set.total_steps) * 4096;
      const double hours = images / network.images_per_second / 3600;
      EXPECT_NEAR(number_of(cost) / hours, 1, 0.05);  // two digits
      row += " " + cost + " |";
    }
    EXPECT_THAT(page, HasSubstr(row));
  }
}

TEST(Recipes, of_big_vision_have_its_schedule_and_update) {
  struct BigVision {
    const char* file;
    const UpstreamSet& set;
    double rate;  // 0.03 or 0.1 x 4096 / 256
    std::uint64_t warmup;
    double head_bias;
  };
  const BigVision cases[] = {
      {"big-vision-bit-i21k-r50x1.yaml", upstream_sets()[1], 0.48, 5000, -10},
      {"big-vision-bit-i1k-r50x1.yaml", upstream_sets()[0], 1.6, 1000, 0}};
  for (const BigVision& expected : cases) {
    SCOPED_TRACE(expected.file);
    const LoadedConfig loaded = load_config(path_of(expected.file), {});
    const RunPlan plan = plan_of(loaded, expected.set.facts);
    const trainer::TrainSettings settings = settings_of(loaded.config, plan);
    EXPECT_EQ(settings.model_name, "R50x1");
    EXPECT_EQ(loaded.config.model().loss(), expected.set.loss);
    EXPECT_EQ(settings.schedule.kind, trainer::ScheduleKind::kCosine);
    EXPECT_EQ(settings.schedule.peak, expected.rate);
    EXPECT_EQ(settings.schedule.warmup_steps, expected.warmup);
    EXPECT_EQ(settings.schedule.total_steps, expected.set.total_steps);
    EXPECT_EQ(settings.model.head_bias, expected.head_bias);
    EXPECT_EQ(settings.clip_norm, 1);
    EXPECT_TRUE(settings.decoupled_decay);
    // 4.8e-4 and 1.6e-3 an update at the peak: 3e-5 and 1e-4 x 4096 / 256.
    EXPECT_DOUBLE_EQ(settings.weight_decay * expected.rate, expected.rate == 1.6 ? 1.6e-3 : 4.8e-4);
    EXPECT_EQ(settings.model.initialization, trainer::KernelInitialization::kLecunNormal);
    EXPECT_THAT(warnings_of(plan), ::testing::IsEmpty());
    EXPECT_EQ(settings.schedule.learning_rate(0), 0);
    EXPECT_DOUBLE_EQ(settings.schedule.learning_rate(expected.warmup), expected.rate);
  }
}

}  // namespace
}  // namespace bit::launcher
