// What a resumed run says of its settings, and which checkpoints it refuses.
#include "trainer/resume_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "trainer/run_files.h"

namespace bit::trainer {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TrainSettings settings() {
  TrainSettings settings;
  settings.model_name = "R26x1";
  settings.order.batch = 64;
  settings.schedule.total_steps = 10;
  return settings;
}

schemas::CheckpointManifest manifest_at(std::uint64_t step) {
  schemas::CheckpointManifest manifest;
  manifest.set_step(step);
  record_meaning(manifest, settings(), "hash");
  return manifest;
}

std::string refusal(const schemas::CheckpointManifest& manifest, const TrainSettings& now) {
  try {
    require_resumable(manifest, "run/step", now, "hash");
  } catch (const ResumeMismatch& error) {
    return error.what();
  }
  return "";
}

TEST(ResumeCheck, goes_on_with_the_same_meaning_up_to_the_end_of_the_schedule) {
  EXPECT_EQ(refusal(manifest_at(10), settings()), "");
  auto faster = settings();
  faster.decoder_threads = 9;
  EXPECT_EQ(refusal(manifest_at(3), faster), "");
}

TEST(ResumeCheck, names_every_setting_that_means_other_weights_and_the_cause_last) {
  auto other = settings();
  other.seed = 7;
  other.order.batch = 32;
  EXPECT_EQ(refusal(manifest_at(3), other),
            "  batch: the checkpoint has 64, this run 32\n"
            "  seed: the checkpoint has 0, this run 7\n"
            "Name another output:, or go back to those settings.\n"
            "run/step belongs to a run whose weights mean something else: batch, seed");
}

TEST(ResumeCheck, another_update_or_another_start_is_another_run) {
  auto other = settings();
  other.clip_norm = 0.5;
  other.decoupled_decay = true;
  other.model.decay_everything = true;
  other.model.initialization = KernelInitialization::kLecunNormal;
  other.model.head_initialization = HeadInitialization::kNormal;
  const std::string reason = refusal(manifest_at(3), other);
  for (const char* part :
       {"model.initialization: the checkpoint has he-normal, this run lecun-norm",
        "model.head_initialization: the checkpoint has zeros, this run normal",
        "optimizer.clip_norm: the checkpoint has 0, this run 0.5",
        "optimizer.decay: the checkpoint has coupled, this run decoupled",
        "optimizer.decay_on: the checkpoint has kernels, this run all"}) {
    EXPECT_THAT(reason, HasSubstr(part));
  }
}

TEST(ResumeCheck, a_checkpoint_from_before_these_choices_is_what_the_defaults_are_now) {
  auto manifest = manifest_at(3);
  for (const char* setting : {"model.initialization", "model.head_initialization",
                              "optimizer.clip_norm", "optimizer.decay", "optimizer.decay_on"}) {
    EXPECT_EQ(manifest.mutable_state()->erase(std::string("run/") + setting), 1U) << setting;
  }
  EXPECT_EQ(refusal(manifest, settings()), "");
  auto clipped = settings();
  clipped.clip_norm = 1;
  EXPECT_THAT(refusal(manifest, clipped),
              HasSubstr("optimizer.clip_norm: the checkpoint has 0, this run 1\n"));
}

TEST(ResumeCheck, refuses_a_checkpoint_beyond_the_end_with_both_numbers) {
  const std::string reason = refusal(manifest_at(11), settings());
  EXPECT_THAT(reason, HasSubstr("step 11"));
  EXPECT_THAT(reason, HasSubstr("10 steps"));
}

TEST(ChangedSettings, are_named_with_both_values) {
  EXPECT_THAT(changed_settings("output: \"a\" threads: 1 model { name: \"R26x1\" }",
                               "output: \"b\" threads: 1 model { name: \"R26x1\" init: \"w\" }"),
              ElementsAre("output: \"a\" → \"b\"", "model.init: \"\" → \"w\""));
  EXPECT_THAT(
      changed_settings("schedule { drops: \"1ep\" drops: \"2ep\" }", "schedule { drops: \"1ep\" }"),
      ElementsAre("schedule.drops: [\"1ep\", \"2ep\"] → [\"1ep\"]"));
}

TEST(ChangedSettings, of_the_same_text_are_none) {
  EXPECT_THAT(changed_settings("threads: 1", "threads: 1"), IsEmpty());
}

TEST(ChangedSettings, that_another_version_wrote_are_compared_as_far_as_they_are_known) {
  EXPECT_THAT(changed_settings("new_setting: 5 threads: 1", "threads: 2"),
              ElementsAre("threads: 1 → 2"));
}

TEST(LinesUpTo, keeps_whole_lines_of_earlier_steps_byte_for_byte) {
  EXPECT_EQ(
      lines_up_to("{\"step\": 1, \"a\":[ 2]}\n{\"step\":3}\n{\"step\":2}\nno\n{\"a\":1}\n{\"st", 2),
      "{\"step\": 1, \"a\":[ 2]}\n{\"step\":2}\n");
}

}  // namespace
}  // namespace bit::trainer
