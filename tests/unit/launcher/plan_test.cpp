// The plan: what is resolved from configuration, dataset and ranks, and what does not fit.
#include "launcher/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "launcher/config.h"

namespace bit::launcher {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr DatasetFacts kThousands{100000, 1000, 10000000000};  // 100 kB a record

LoadedConfig config_with(const std::vector<std::string>& overrides) {
  return parse_config(
      "output: runs/a\ndata: {path: shards}\nbatch: 256\nschedule: {warmup: 100 steps}\n", "x.yaml",
      overrides);
}

cluster::Topology topology(int ranks, int local_ranks, int cores) {
  cluster::Topology topology;
  topology.hosts.resize(static_cast<std::size_t>(ranks));
  topology.local_ranks = local_ranks;
  topology.host_cores = topology.allowed_cores = cores;
  return topology;
}

RunPlan plan_with(const std::vector<std::string>& overrides, int ranks = 1, int local_ranks = 1,
                  int cores = 8, const DatasetFacts& facts = kThousands) {
  return make_plan(config_with(overrides), facts, std::nullopt,
                   topology(ranks, local_ranks, cores));
}

std::string mistakes(const std::vector<std::string>& overrides, int ranks = 1, int local_ranks = 1,
                     int cores = 8, const DatasetFacts& facts = kThousands,
                     const std::optional<DatasetFacts>& evaluation = {}) {
  try {
    make_plan(config_with(overrides), facts, evaluation, topology(ranks, local_ranks, cores));
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

TEST(Plan, counts_steps_from_epochs_of_whole_batches) {
  const RunPlan plan = plan_with(
      {"schedule.length=90ep", "schedule.drops=[30ep, 20000 steps]", "evaluate.every=0.5ep"});
  EXPECT_EQ(plan.steps_per_epoch, 390u);  // 100000 / 256, the tail left out
  EXPECT_EQ(plan.schedule.total_steps, 35100u);
  EXPECT_EQ(plan.schedule.warmup_steps, 100u);
  EXPECT_THAT(plan.schedule.drops, ElementsAre(11700, 20000));
  EXPECT_DOUBLE_EQ(plan.epochs, 90);
  EXPECT_EQ(plan.checkpoint_every_seconds, 600);
  EXPECT_EQ(plan.checkpoint_every_steps, 0u);
  EXPECT_EQ(plan_with({"checkpoint.every=2ep"}).checkpoint_every_steps, 780u);
}

TEST(Plan, lanes_and_window_do_not_depend_on_the_ranks) {
  for (const int ranks : {1, 2, 8}) {
    const RunPlan plan = plan_with({}, ranks, 1);
    EXPECT_EQ(plan.order.lanes, 64u);
    EXPECT_EQ(plan.order.window, 16384u);
    EXPECT_EQ(plan.rank_batch, 256u / static_cast<unsigned>(ranks));
  }
  EXPECT_EQ(plan_with({"batch=96"}).order.lanes, 48u);
  EXPECT_EQ(plan_with({"batch=96"}).order.window, 16368u);  // a multiple of 48 near 16384
  EXPECT_EQ(plan_with({"data.window=10"}).order.window, 64u);
}

TEST(Plan, splits_the_cores_of_a_host) {
  const auto threads = [](const RunPlan& plan) {
    return std::pair(plan.compute_threads, plan.decoder_threads);
  };
  EXPECT_EQ(threads(plan_with({}, 1, 1, 8)), std::pair(6u, 2u));
  EXPECT_EQ(threads(plan_with({}, 2, 2, 8)), std::pair(3u, 1u));
  EXPECT_EQ(threads(plan_with({}, 1, 1, 2)), std::pair(1u, 1u));
  EXPECT_EQ(threads(plan_with({"threads=5"}, 1, 1, 8)), std::pair(5u, 3u));
  EXPECT_EQ(threads(plan_with({"data.decoder_threads=4"}, 1, 1, 8)), std::pair(4u, 4u));
  EXPECT_EQ(threads(plan_with({"data.decoder_threads=9"}, 1, 1, 8)), std::pair(1u, 9u));
}

TEST(Plan, compute_and_decoder_threads_fit_the_cores_unless_asked_otherwise) {
  for (const int cores : {2, 3, 4, 5, 8, 64, 100}) {
    for (const int ranks : {1, 2}) {
      if (cores / ranks < 2) continue;
      const RunPlan plan = plan_with({}, ranks, ranks, cores);
      EXPECT_LE(plan.compute_threads + plan.decoder_threads, unsigned(cores / ranks));
      EXPECT_THAT(plan.warnings, IsEmpty());
    }
  }
  // One core for each rank: it is shared, and said.
  EXPECT_THAT(plan_with({}, 2, 2, 2).warnings,
              ElementsAre("1 compute thread and 1 decoder thread of each rank share 1 core"));
  EXPECT_THAT(plan_with({"threads=2", "data.decoder_threads=2"}, 1, 1, 2).warnings,
              ElementsAre("2 compute threads and 2 decoder threads of each rank share 2 cores"));
  EXPECT_THAT(plan_with({"threads=2"}, 1, 1, 2).warnings,
              ElementsAre("2 compute threads and 1 decoder thread of each rank share 2 cores"));
}

TEST(Plan, cores_that_the_ranks_are_bound_away_from_are_named) {
  cluster::Topology bound = topology(1, 1, 1);
  bound.allowed_cores = 8;
  const RunPlan plan = make_plan(config_with({}), kThousands, std::nullopt, bound);
  EXPECT_THAT(plan.warnings,
              testing::Contains(HasSubstr("1 rank of this host is bound to 1 of its 8 cores; under "
                                          "mpirun, --bind-to none")));
}

TEST(Plan, more_threads_than_cores_have_to_be_allowed) {
  EXPECT_THAT(
      mistakes({}, 4, 4, 2),
      HasSubstr("default: threads is 0: 4 ranks on this host with 1 compute thread each exceed "
                "its 2 cores; start fewer ranks"));
  EXPECT_THAT(mistakes({"threads=9"}),
              HasSubstr("override 1 (threads=9): threads is 9: 1 rank on this host with 9 compute "
                        "threads each exceed its 8 cores"));
  const RunPlan plan = plan_with({"oversubscribe=true"}, 4, 4, 2);
  EXPECT_THAT(plan.warnings, ElementsAre(HasSubstr("oversubscribe allows it")));
}

TEST(Plan, names_what_cannot_be_split) {
  EXPECT_EQ(mistakes({}, 3),
            "x.yaml:3:8: batch is 256: it cannot be split over 3 ranks x 1 micro-steps "
            "(optimizer.accumulate); 258 can");
  EXPECT_THAT(mistakes({"optimizer.accumulate=128"}, 4), HasSubstr("4 ranks x 128 micro-steps"));
  EXPECT_EQ(mistakes({"batch=192"}, 3),
            "default: data.lanes is 0: 64 lanes cannot be split over 3 ranks; 48 can");
  EXPECT_EQ(mistakes({"data.lanes=2"}, 4),
            "override 1 (data.lanes=2): data.lanes is 2: 2 lanes cannot be split over 4 ranks; 64 "
            "can");
  EXPECT_EQ(mistakes({}, 1, 1, 8, {255, 10, 255}),
            "x.yaml:3:8: batch is 256: the split 'train' has only 255 records");
}

TEST(Plan, the_classes_have_to_agree) {
  EXPECT_EQ(mistakes({"data.classes=999"}),
            "override 1 (data.classes=999): data.classes is 999: the dataset has 1000");
  EXPECT_EQ(mistakes({"evaluate.split=test"}, 1, 1, 8, kThousands, DatasetFacts{10, 5, 10}),
            "override 1 (evaluate.split=test): evaluate.split is 'test': it has 5 classes, the "
            "training split 1000");
  EXPECT_EQ(mistakes({"data.classes=1000"}), "");
}

TEST(Plan, everything_that_does_not_fit_is_said_at_once) {
  const std::string all = mistakes({"batch=100", "data.classes=3", "threads=99"}, 3);
  EXPECT_THAT(all, HasSubstr(": batch is "));
  EXPECT_THAT(all, HasSubstr(": data.classes is "));
  EXPECT_THAT(all, HasSubstr(": threads is "));
}

TEST(Plan, the_window_has_to_fit_in_its_memory) {
  // Two windows of 16384 records of 100 kB are 3.3 GB on one rank.
  EXPECT_THAT(mistakes({"data.window_memory=3GB"}),
              HasSubstr("data.window is 0: two windows of 16384 records need 3276.8 MB on "
                        "each rank, data.window_memory allows 3GB"));
  EXPECT_EQ(plan_with({"data.window_memory=4GB"}).memory.encoded, 3276800000u);
  EXPECT_EQ(plan_with({"data.window_memory=2GB"}, 2).memory.encoded, 1638400000u);
  // Never more than there is.
  EXPECT_EQ(plan_with({}, 1, 1, 8, {1000, 10, 1000000}).memory.encoded, 1000000u);
}

TEST(Plan, a_full_permutation_has_no_windows) {
  const RunPlan plan = plan_with({"data.block=1", "data.window=999", "data.window_memory=1kB"});
  EXPECT_EQ(plan.order.window, 0u);
  EXPECT_EQ(plan.memory.encoded, 4u * 256 * 100000);  // data.prefetch batches
  EXPECT_THAT(describe(plan), HasSubstr("64 lanes, every record by itself"));
}

TEST(Plan, counts_parameters_and_what_travels) {
  const RunPlan plan = plan_with({"model.name=R50x1"}, 2);
  EXPECT_EQ(plan.parameters, trainer::parameter_count(trainer::parse_model_name("R50x1", 1000)));
  EXPECT_EQ(plan.allreduce_bytes, plan.parameters * 4);
  EXPECT_EQ(plan_with({}).allreduce_bytes, 0u);  // alone
  EXPECT_EQ(plan.memory.momentum, plan.parameters * 4);
  EXPECT_EQ(plan.memory.ring, 128u * 224 * 224 * 3 * 4);
  EXPECT_EQ(plan.memory.total(), plan.memory.weights + plan.memory.momentum +
                                     plan.memory.gradients + plan.memory.activations +
                                     plan.memory.snapshot + plan.memory.ring + plan.memory.encoded);
}

TEST(Plan, warns_of_what_is_probably_not_meant) {
  EXPECT_THAT(plan_with({"schedule.length=10ep", "schedule.drops=[20ep]"}).warnings,
              ElementsAre(HasSubstr("the drop at '20ep' (step 7800) is never reached")));
  EXPECT_THAT(plan_with({"schedule.length=50 steps"}).warnings,
              ElementsAre(HasSubstr("never reaches its peak")));
  EXPECT_THAT(plan_with({}).warnings, IsEmpty());
}

TEST(Plan, resolves_the_evaluation) {
  const RunPlan plan =
      make_plan(config_with({"evaluate.split=test", "evaluate.every=1ep", "data.image_size=64"}),
                kThousands, DatasetFacts{500, 1000, 500}, topology(2, 1, 8));
  EXPECT_EQ(plan.evaluation_records, 500u);
  EXPECT_EQ(plan.evaluation_batch, 256u);
  EXPECT_EQ(plan.evaluation_resize, 73u);  // 64 x 256 / 224
  EXPECT_EQ(plan.evaluate_every, 390u);
}

TEST(Plan, evaluates_the_whole_image_when_nothing_is_to_be_cropped) {
  const RunPlan plan =
      make_plan(config_with({"evaluate.split=test", "evaluate.crop=none", "evaluate.resize=300"}),
                kThousands, DatasetFacts{500, 1000, 500}, topology(2, 1, 8));
  EXPECT_EQ(plan.evaluation_resize, 0u);
}

TEST(Plan, the_run_is_given_the_crop_and_the_filter) {
  const auto settings_with = [](std::vector<std::string> overrides) {
    const auto config = config_with(overrides);
    return settings_of(config.config,
                       make_plan(config, kThousands, std::nullopt, topology(1, 1, 8)));
  };
  const auto usual = settings_with({"data.crop_area_min=0.25", "data.flip=false"});
  const auto& inception = std::get<pipeline::InceptionCropOptions>(usual.crop);
  EXPECT_EQ(inception.area_min, 0.25);
  EXPECT_FALSE(inception.flip);
  EXPECT_EQ(inception.filter, pipeline::ResizeFilter::kTriangle);
  EXPECT_EQ(usual.evaluation.filter, pipeline::ResizeFilter::kTriangle);

  const auto transfer = settings_with(
      {"data.crop=resize-random-crop", "data.image_size=128", "data.antialias=false"});
  const auto& resized = std::get<pipeline::ResizeCropOptions>(transfer.crop);
  EXPECT_EQ(resized.resize, 160u);
  EXPECT_TRUE(resized.flip);
  EXPECT_EQ(resized.filter, pipeline::ResizeFilter::kBilinear);
  EXPECT_EQ(transfer.evaluation.filter, pipeline::ResizeFilter::kBilinear);

  const auto uncut =
      settings_with({"data.crop=resize-random-crop", "data.image_size=128", "data.resize=128"});
  EXPECT_EQ(std::get<pipeline::ResizeCropOptions>(uncut.crop).resize, 128u);
}

TEST(Plan, the_run_is_given_the_numbers_of_the_plan) {
  const auto config =
      config_with({"model.precision=bf16", "optimizer.accumulate=2", "evaluate.split=test"});
  const RunPlan plan =
      make_plan(config, kThousands, DatasetFacts{500, 1000, 500}, topology(1, 1, 8));
  const trainer::TrainSettings settings = settings_of(config.config, plan);
  EXPECT_EQ(settings.order.window, plan.order.window);
  EXPECT_EQ(settings.order.batch, 256u);
  EXPECT_EQ(settings.schedule.total_steps, plan.schedule.total_steps);
  EXPECT_EQ(settings.evaluation.batch, plan.evaluation_batch);
  EXPECT_EQ(settings.precision, trainer::Precision::kBf16);
  EXPECT_EQ(settings.accumulate, 2u);
  EXPECT_EQ(settings.memory_limit, 4ull << 30);
  EXPECT_EQ(settings.model.classes, 1000);
}

TEST(Plan, the_run_is_given_the_schedule_the_update_and_the_start) {
  const auto settings_with = [](std::vector<std::string> overrides) {
    const auto config = config_with(overrides);
    return settings_of(config.config,
                       make_plan(config, kThousands, std::nullopt, topology(1, 1, 8)));
  };
  const auto usual = settings_with({});
  EXPECT_EQ(usual.schedule.kind, trainer::ScheduleKind::kSteps);
  EXPECT_EQ(usual.schedule.warmup_start, 0);
  EXPECT_FALSE(usual.decoupled_decay);
  EXPECT_EQ(usual.clip_norm, 0);
  EXPECT_FALSE(usual.model.decay_everything);
  EXPECT_EQ(usual.model.initialization, trainer::KernelInitialization::kHeNormal);
  EXPECT_EQ(usual.model.head_initialization, trainer::HeadInitialization::kZeros);

  const auto other =
      settings_with({"schedule.kind=cosine", "schedule.warmup_start=0.1",
                     "optimizer.decay=decoupled", "optimizer.decay_on=all", "optimizer.clip_norm=1",
                     "model.initialization=glorot-uniform", "model.head_initialization=normal"});
  EXPECT_EQ(other.schedule.kind, trainer::ScheduleKind::kCosine);
  EXPECT_EQ(other.schedule.warmup_start, 0.1);
  EXPECT_TRUE(other.decoupled_decay);
  EXPECT_EQ(other.clip_norm, 1);
  EXPECT_TRUE(other.model.decay_everything);
  EXPECT_EQ(other.model.initialization, trainer::KernelInitialization::kGlorotUniform);
  EXPECT_EQ(other.model.head_initialization, trainer::HeadInitialization::kNormal);

  // Weights that are given leave nothing random.
  EXPECT_EQ(
      settings_with({"model.init=w", "model.head_initialization=normal"}).model.head_initialization,
      trainer::HeadInitialization::kZeros);
}

TEST(Plan, says_how_images_are_cut) {
  const auto text_with = [](std::vector<std::string> overrides) {
    overrides.push_back("evaluate.split=test");
    return describe(make_plan(config_with(overrides), kThousands, DatasetFacts{500, 1000, 500},
                              topology(1, 1, 8)));
  };
  EXPECT_THAT(text_with({"data.crop_area_min=0.08"}),
              AllOf(HasSubstr("224 px, a crop of 8 to 100% of the area, mirrored half the time\n"),
                    HasSubstr("224 px, the centre of the image with its short side at 256\n")));
  EXPECT_THAT(text_with({"data.crop=resize-random-crop", "data.image_size=128", "data.flip=false",
                         "data.antialias=false", "evaluate.crop=none"}),
              AllOf(HasSubstr("128 px, a random square of the image resized to 160 x 160, not "
                              "antialiased\n"),
                    HasSubstr("128 px, the whole image, not antialiased\n")));
  EXPECT_THAT(text_with({"data.cache=decoded", "data.cache_short_side=512"}),
              HasSubstr("decoded images of short sides up to 512 px at most"));
}

TEST(Plan, warns_of_settings_that_change_nothing) {
  EXPECT_THAT(plan_with({"data.resize=256"}).warnings,
              ElementsAre(HasSubstr("data.resize changes nothing: data.crop is inception")));
  EXPECT_THAT(plan_with({"data.resize=256", "data.crop=resize-random-crop"}).warnings, IsEmpty());
  EXPECT_THAT(plan_with({"data.crop_area_min=0.1", "data.crop=resize-random-crop"}).warnings,
              ElementsAre(HasSubstr("data.crop_area_min changes nothing")));
  EXPECT_THAT(plan_with({"data.cache_memory=1GiB", "data.cache_short_side=512"}).warnings,
              ElementsAre(HasSubstr("data.cache_memory changes nothing: data.cache is none"),
                          HasSubstr("data.cache_short_side changes nothing")));
  EXPECT_THAT(plan_with({"evaluate.resize=300", "evaluate.crop=none"}).warnings,
              ElementsAre(HasSubstr("evaluate.resize changes nothing: evaluate.crop is none")));
}

TEST(Plan, warns_of_schedules_and_updates_that_change_nothing) {
  EXPECT_THAT(plan_with({"schedule.warmup=0", "schedule.warmup_start=0.1"}).warnings,
              ElementsAre(HasSubstr("schedule.warmup_start changes nothing: there is no warm-up")));
  EXPECT_THAT(plan_with({"schedule.kind=cosine", "schedule.drop_factor=0.5"}).warnings,
              ElementsAre(HasSubstr("schedule.drop_factor changes nothing: there are no drops")));
  EXPECT_THAT(
      plan_with({"optimizer.weight_decay=0", "optimizer.decay=decoupled"}).warnings,
      ElementsAre(HasSubstr("optimizer.decay changes nothing: optimizer.weight_decay is 0")));
  EXPECT_THAT(plan_with({"model.init=w", "model.initialization=lecun-normal"}).warnings,
              ElementsAre(HasSubstr("model.initialization changes nothing: model.init has the")));
}

TEST(Plan, describes_either_kind_of_schedule) {
  EXPECT_THAT(
      describe(plan_with({"schedule.drops=[30ep, 60ep]"})),
      AllOf(HasSubstr("0.48, warm-up 100 steps\n"), HasSubstr("x 0.1 at steps 11700, 23400")));
  EXPECT_THAT(describe(plan_with({"schedule.kind=cosine", "schedule.warmup_start=0.25"})),
              AllOf(HasSubstr("0.48, warm-up 100 steps from 0.12, then half a cosine to 0 at the "
                              "end\n"),
                    testing::Not(HasSubstr("drops"))));
}

TEST(Plan, is_described_with_units) {
  const std::string text = describe(plan_with({"schedule.length=90ep"}, 2));
  for (const char* part : {"390 an epoch", "90.00 epochs", "35100 in all", "2 ranks x 128 images",
                           "64 lanes, window 16384", "100.0 kB on average", "1000 classes",
                           "a step", "cores to decode (assuming 100.0 MB/s a core)",
                           "6 compute, 2 decoding, 2 reading", "every 10 min"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
}

}  // namespace
}  // namespace bit::launcher
