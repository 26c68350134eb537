// Every mistake of a configuration is named with its place, what was written and what is allowed;
// all in one go.
#include "launcher/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bit::launcher {
namespace {

using ::testing::ElementsAre;

const std::string kMinimal = "output: runs/a\ndata:\n  path: shards\n";

// What parse_config says about `yaml` (with the required settings in front, three lines), one
// mistake an element.
std::vector<std::string> mistakes_of(const std::string& yaml,
                                     const std::vector<std::string>& overrides = {}) {
  try {
    parse_config(yaml, "x.yaml", overrides);
  } catch (const ConfigError& error) {
    std::vector<std::string> lines;
    for (const auto& mistake : error.mistakes())
      lines.push_back(mistake.where + ": " + mistake.what);
    return lines;
  }
  return {};
}

std::vector<std::string> mistakes_after_minimal(const std::string& yaml) {
  return mistakes_of(kMinimal + yaml);
}

TEST(Config, takes_defaults_for_everything_that_is_left_out) {
  const LoadedConfig loaded = parse_config(kMinimal, "x.yaml", {});
  EXPECT_EQ(loaded.config.output(), "runs/a");
  EXPECT_EQ(loaded.config.batch(), 4096u);
  EXPECT_TRUE(loaded.config.has_batch());
  EXPECT_TRUE(loaded.config.schedule().has_length());
  EXPECT_EQ(loaded.config.schedule().length(), "90ep");
  EXPECT_TRUE(loaded.config.debug().has_log_order());
  EXPECT_EQ(loaded.origins.at("output"), "x.yaml:1:9");
  EXPECT_EQ(loaded.origins.at("data.path"), "x.yaml:3:9");
  EXPECT_EQ(loaded.origins.at("schedule.length"), "default");
}

TEST(Config, reads_every_kind_of_value) {
  const LoadedConfig loaded = parse_config(
      kMinimal +
          "  flip: false\n  window_memory: 512MiB\nbatch: 4096\nseed: 18446744073709551615\n"
          "optimizer: {learning_rate: 1e-4, momentum: .5, weight_decay: 0}\n"
          "schedule:\n  drops:\n    - 30ep\n    - 60ep\n",
      "x.yaml", {});
  EXPECT_FALSE(loaded.config.data().flip());
  EXPECT_EQ(loaded.config.data().window_memory(), "512MiB");
  EXPECT_EQ(loaded.config.seed(), 18446744073709551615u);
  EXPECT_DOUBLE_EQ(loaded.config.optimizer().learning_rate(), 1e-4);
  EXPECT_DOUBLE_EQ(loaded.config.optimizer().momentum(), 0.5);
  EXPECT_THAT(loaded.config.schedule().drops(), ElementsAre("30ep", "60ep"));
}

TEST(Config, a_section_with_nothing_under_it_takes_its_defaults) {
  EXPECT_THAT(mistakes_after_minimal("model:\n"), ElementsAre());
}

TEST(Config, names_the_nearest_key) {
  EXPECT_THAT(mistakes_after_minimal("optimizer:\n  learning_rat: 0.1\n"),
              ElementsAre("x.yaml:5:3: unknown key 'learning_rat': did you mean 'learning_rate'?"));
  EXPECT_THAT(mistakes_after_minimal("modle:\n  name: R50x1\n"),
              ElementsAre("x.yaml:4:1: unknown key 'modle': did you mean 'model'?"));
}

TEST(Config, names_the_section_a_key_belongs_to) {
  EXPECT_THAT(
      mistakes_after_minimal("learning_rate: 0.1\n"),
      ElementsAre(
          "x.yaml:4:1: unknown key 'learning_rate': did you mean 'optimizer.learning_rate'?"));
  EXPECT_THAT(
      mistakes_after_minimal("model:\n  momentun: 0.1\n"),
      ElementsAre("x.yaml:5:3: unknown key 'momentun': did you mean 'optimizer.momentum'?"));
  EXPECT_THAT(
      mistakes_after_minimal("every: 3\n"),
      ElementsAre(
          "x.yaml:4:1: unknown key 'every': did you mean 'evaluate.every' or 'checkpoint.every' or "
          "'metrics.every'?"));
}

TEST(Config, lists_the_keys_when_none_is_near) {
  EXPECT_THAT(
      mistakes_after_minimal("debug:\n  qqqqqqqqqqqqqqqqq: 1\n"),
      ElementsAre(
          "x.yaml:5:3: unknown key 'qqqqqqqqqqqqqqqqq': the keys of 'debug' are log_order"));
}

TEST(Config, says_what_was_found_where_another_type_is_expected) {
  EXPECT_THAT(mistakes_after_minimal("batch: many\n"),
              ElementsAre("x.yaml:4:8: batch is 'many': expected a whole number such as 4096"));
  EXPECT_THAT(mistakes_after_minimal("batch: 1.5\n"),
              ElementsAre("x.yaml:4:8: batch is '1.5': expected a whole number such as 4096"));
  EXPECT_THAT(mistakes_after_minimal("batch: '64'\n"),
              ElementsAre("x.yaml:4:8: batch is the text \"64\": expected a whole number such as "
                          "4096, without quotes"));
  EXPECT_THAT(mistakes_after_minimal("batch: [64]\n"),
              ElementsAre("x.yaml:4:8: batch is a list: expected a whole number such as 4096"));
  EXPECT_THAT(
      mistakes_after_minimal("batch:\n  size: 64\n"),
      ElementsAre(
          "x.yaml:5:3: batch is a group of settings: expected a whole number such as 4096"));
  EXPECT_THAT(mistakes_after_minimal("batch:\n"),
              ElementsAre("x.yaml:4:1: batch has no value: expected a whole number such as 4096"));
  EXPECT_THAT(mistakes_after_minimal("oversubscribe: yes\n"),
              ElementsAre("x.yaml:4:16: oversubscribe is 'yes': expected true or false"));
  EXPECT_THAT(
      mistakes_after_minimal("optimizer:\n  momentum: high\n"),
      ElementsAre("x.yaml:5:13: optimizer.momentum is 'high': expected a number such as 0.9"));
  EXPECT_THAT(
      mistakes_after_minimal("optimizer:\n  momentum: .nan\n"),
      ElementsAre("x.yaml:5:13: optimizer.momentum is '.nan': expected a number such as 0.9"));
  EXPECT_THAT(
      mistakes_after_minimal("schedule:\n  drops: 30ep\n"),
      ElementsAre(
          "x.yaml:5:10: schedule.drops is '30ep': expected a list such as [30ep, 60ep, 80ep]"));
}

TEST(Config, says_so_where_a_section_is_expected) {
  EXPECT_THAT(
      mistakes_after_minimal("model: R50x1\n"),
      ElementsAre("x.yaml:4:8: model is 'R50x1': expected settings indented under 'model:'"));
  EXPECT_THAT(
      mistakes_after_minimal("model:\n  - name: R50x1\n"),
      ElementsAre("x.yaml:5:3: model is a list: expected settings indented under 'model:'"));
}

TEST(Config, states_the_allowed_range) {
  EXPECT_THAT(mistakes_after_minimal("optimizer:\n  momentum: 1.5\n"),
              ElementsAre("x.yaml:5:13: optimizer.momentum is 1.5: allowed is 0 to 1"));
  EXPECT_THAT(mistakes_after_minimal("optimizer:\n  weight_decay: -1\n"),
              ElementsAre("x.yaml:5:17: optimizer.weight_decay is -1: allowed is at least 0"));
  EXPECT_THAT(mistakes_after_minimal("batch: 0\n"),
              ElementsAre("x.yaml:4:8: batch is 0: allowed is 1 to 1048576"));
  EXPECT_THAT(mistakes_after_minimal("batch: -4\n"),
              ElementsAre("x.yaml:4:8: batch is -4: allowed is 1 to 1048576"));
  EXPECT_THAT(mistakes_after_minimal("threads: 4294967296\n"),
              ElementsAre("x.yaml:4:10: threads is 4294967296: allowed is 0 to 1024"));
  EXPECT_THAT(
      mistakes_after_minimal("seed: 18446744073709551616\n"),
      ElementsAre(
          "x.yaml:4:7: seed is 18446744073709551616: allowed is 0 to 18446744073709551615"));
  EXPECT_THAT(mistakes_after_minimal("  window: 4294967296\n"),
              ElementsAre("x.yaml:4:11: data.window is 4294967296: allowed is 0 to 4294967295"));
}

TEST(Config, lists_the_choices_and_the_nearest) {
  EXPECT_THAT(mistakes_after_minimal("model:\n  precision: bf15\n"),
              ElementsAre("x.yaml:5:14: model.precision is 'bf15': expected one of fp32, bf16; did "
                          "you mean 'bf16'?"));
  EXPECT_THAT(mistakes_after_minimal("model:\n  loss: hinge\n"),
              ElementsAre("x.yaml:5:9: model.loss is 'hinge': expected one of softmax, sigmoid"));
}

TEST(Config, explains_durations_lengths_and_sizes) {
  EXPECT_THAT(mistakes_after_minimal("checkpoint:\n  every: soon\n"),
              ElementsAre("x.yaml:5:10: checkpoint.every is 'soon': expected a duration such as "
                          "10min, 30s, 2h, 1.5ep "
                          "or 5000 steps"));
  EXPECT_THAT(
      mistakes_after_minimal("schedule:\n  length: 10min\n"),
      ElementsAre(
          "x.yaml:5:11: schedule.length is '10min', a time: expected steps or epochs, such as 5000 "
          "steps or 90ep"));
  EXPECT_THAT(mistakes_after_minimal("schedule:\n  drops: [30ep, x]\n"),
              ElementsAre("x.yaml:5:17: schedule.drops[1] is 'x': expected a length such as 90ep, "
                          "1.5ep or 5000 steps"));
  EXPECT_THAT(mistakes_after_minimal("  window_memory: 4 gigs\n"),
              ElementsAre("x.yaml:4:18: data.window_memory is '4 gigs': expected a size such as "
                          "512MiB, 2GB or 4096"));
  EXPECT_THAT(mistakes_after_minimal("checkpoint:\n  every: ''\n"),
              ElementsAre("x.yaml:5:10: checkpoint.every is empty: expected a duration such as "
                          "10min, 30s, 2h, 1.5ep "
                          "or 5000 steps"));
}

TEST(Config, refuses_a_key_given_twice) {
  EXPECT_THAT(mistakes_after_minimal("batch: 64\nbatch: 32\n"),
              ElementsAre("x.yaml:5:1: 'batch' is given twice: first in line 4"));
}

TEST(Config, names_what_is_missing) {
  EXPECT_THAT(mistakes_of("batch: 64\n"),
              ElementsAre("x.yaml: output is missing: expected a path",
                          "x.yaml: data.path is missing: expected a path"));
  EXPECT_THAT(mistakes_of("output: ''\ndata: {path: a}\n"),
              ElementsAre("x.yaml:1:9: output is empty: expected a path"));
}

TEST(Config, explains_files_that_are_no_mapping) {
  const std::string empty =
      "x.yaml:1:1: the file is empty: expected settings such as 'output: runs/first'";
  EXPECT_THAT(mistakes_of(""), ElementsAre(empty));
  EXPECT_THAT(mistakes_of("# nothing\n"), ElementsAre(empty));
  EXPECT_THAT(
      mistakes_of("- a\n- b\n"),
      ElementsAre(
          "x.yaml:1:1: the file is a list: expected settings such as 'output: runs/first'"));
  EXPECT_THAT(mistakes_of(kMinimal + "---\nbatch: 3\n"),
              ElementsAre("x.yaml:4:1: a second document starts here: expected one"));
}

TEST(Config, refuses_text_that_starts_with_what_cannot_be_read) {
  EXPECT_THAT(mistakes_of(", {a: b}\n"),
              ElementsAre("x.yaml:1:1: a second document starts here: expected one"));
}

TEST(Config, points_at_the_place_where_the_syntax_breaks) {
  EXPECT_THAT(mistakes_of("output: [a\n"),
              ElementsAre(::testing::StartsWith("x.yaml:2:1: this is not YAML: ")));
  EXPECT_THAT(mistakes_of("output: a\ndata:\n\tpath: b\n"),
              ElementsAre("x.yaml:3:1: a tab in the indentation: YAML wants spaces"));
}

TEST(Config, reports_all_mistakes_at_once_in_the_order_of_the_file) {
  EXPECT_THAT(
      mistakes_of("batch: 0\n"
                  "data:\n"
                  "  pth: shards\n"
                  "  crop_area_min: 0.9\n"
                  "  crop_area_max: 0.5\n"
                  "model:\n"
                  "  precision: half\n",
                  {"modle.name=R50x1"}),
      ElementsAre(
          "x.yaml:1:8: batch is 0: allowed is 1 to 1048576",
          "x.yaml:3:3: unknown key 'pth': did you mean 'path'?",
          "x.yaml:4:18: data.crop_area_min is 0.9: allowed is at most data.crop_area_max, "
          "which is 0.5",
          "x.yaml:7:14: model.precision is 'half': expected one of fp32, bf16",
          "x.yaml: output is missing: expected a path",
          "x.yaml: data.path is missing: expected a path",
          "override 1 (modle.name=R50x1): unknown key 'modle.name': did you mean 'model'?"));
}

TEST(Config, shows_the_line_that_is_not_yaml) {
  try {
    parse_config("output: a\ndata: {path: b\nbatch: 64\n", "x.yaml", {});
    FAIL() << "expected ConfigError";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(),
                ::testing::StartsWith("  batch: 64\n       ^\nx.yaml:3:6: this is not YAML: "));
  }
}

TEST(Config, checks_settings_that_have_to_fit_each_other) {
  EXPECT_THAT(mistakes_after_minimal("  lanes: 7\nbatch: 64\n"),
              ElementsAre("x.yaml:4:10: data.lanes is 7: it has to divide batch, which is 64"));
  EXPECT_THAT(
      mistakes_after_minimal("batch: 64\noptimizer: {accumulate: 3}\n"),
      ElementsAre("x.yaml:5:25: optimizer.accumulate is 3: it has to divide batch, which is 64"));
  EXPECT_THAT(
      mistakes_after_minimal("schedule: {drops: [60ep, 30ep]}\n"),
      ElementsAre("x.yaml:4:19: schedule.drops has '30ep' after '60ep': expected ascending order"));
  EXPECT_THAT(
      mistakes_after_minimal("schedule: {kind: cosine, drops: [30ep, 60ep]}\n"),
      ElementsAre("x.yaml:4:33: schedule.drops has '30ep': a schedule.kind of cosine has no "
                  "drops; expected none (schedule.drops=[])"));
  EXPECT_THAT(mistakes_of(kMinimal + "schedule: {drops: [30ep, 60ep]}\n",
                          {"schedule.kind=cosine", "schedule.drops=[]"}),
              ::testing::IsEmpty());
  EXPECT_THAT(mistakes_after_minimal("schedule: {length: 0ep}\n"),
              ElementsAre("x.yaml:4:20: schedule.length is '0ep': expected more than nothing"));
  EXPECT_THAT(mistakes_after_minimal("evaluate: {resize: 100, split: val}\n"),
              ElementsAre("x.yaml:4:20: evaluate.resize is 100: the centre crop needs at least "
                          "data.image_size, which "
                          "is 224"));
  EXPECT_THAT(mistakes_after_minimal("evaluate: {resize: 100, split: val, crop: none}\n"),
              ::testing::IsEmpty());
  EXPECT_THAT(mistakes_after_minimal("  crop: resize-random-crop\n  resize: 200\n"),
              ElementsAre("x.yaml:5:11: data.resize is 200: the random crop needs at least "
                          "data.image_size, which is 224"));
  EXPECT_THAT(mistakes_after_minimal("  crop: resize\n"),
              ElementsAre("x.yaml:4:9: data.crop is 'resize': expected one of inception, "
                          "resize-random-crop"));
  EXPECT_THAT(
      mistakes_after_minimal("metrics: {prometheus: '9400'}\n"),
      ElementsAre("x.yaml:4:23: metrics.prometheus is '9400': expected an address such as :9400 or "
                  "0.0.0.0:9400, with a port of 0 to 65535"));
}

TEST(Config, does_not_judge_a_pair_of_which_one_is_already_wrong) {
  EXPECT_THAT(mistakes_after_minimal("  crop_area_min: 0.9\n  crop_area_max: 5\n"),
              ElementsAre("x.yaml:5:18: data.crop_area_max is 5: allowed is 0 to 1"));
}

TEST(Overrides, win_over_the_file_and_the_last_over_the_first) {
  const LoadedConfig loaded = parse_config(kMinimal + "batch: 64\n", "x.yaml",
                                           {"batch=128", "batch=256", "schedule.drops=[30ep, 60ep]",
                                            "metrics.prometheus=:9400", "output=/a: #b"});
  EXPECT_EQ(loaded.config.batch(), 256u);
  EXPECT_THAT(loaded.config.schedule().drops(), ElementsAre("30ep", "60ep"));
  EXPECT_EQ(loaded.config.metrics().prometheus(), ":9400");
  EXPECT_EQ(loaded.config.output(), "/a: #b");
  EXPECT_EQ(loaded.origins.at("batch"), "override 2 (batch=256)");
}

TEST(Overrides, are_reported_in_their_order_whatever_is_wrong_with_them) {
  EXPECT_THAT(
      mistakes_of(kMinimal, {"model.name=R51x1", "batch=x", "data.lanes=a"}),
      ElementsAre("override 1 (model.name=R51x1): model.name is 'R51x1': expected a depth "
                  "(26, 50, 101, 152) and a width in steps of 0.5, such as R50x1 or "
                  "R26x0.5; did you mean 'R50x1'?",
                  "override 2 (batch=x): batch is 'x': expected a whole number such as 4096",
                  "override 3 (data.lanes=a): data.lanes is 'a': expected a whole number "
                  "such as 8"));
}

TEST(Origins, travel_as_text) {
  const Origins origins =
      parse_config(kMinimal, "x.yaml", {"metrics.prometheus=:1", "evaluate.split="}).origins;
  EXPECT_EQ(unpack_origins(pack_origins(origins)), origins);
  EXPECT_EQ(unpack_origins(""), Origins());
}

TEST(Overrides, may_empty_a_text_or_a_list) {
  const LoadedConfig loaded =
      parse_config(kMinimal + "evaluate: {split: test}\nschedule: {drops: [3ep]}\n", "x.yaml",
                   {"evaluate.split=", "schedule.drops=[]"});
  EXPECT_EQ(loaded.config.evaluate().split(), "");
  EXPECT_EQ(loaded.config.schedule().drops_size(), 0);
}

TEST(Overrides, may_give_what_the_file_leaves_out) {
  EXPECT_THAT(mistakes_of("batch: 64\n", {"output=a", "data.path=b"}), ElementsAre());
}

TEST(Overrides, name_their_mistakes) {
  const auto mistakes = [](const std::string& text) {
    return mistakes_of(kMinimal, {"batch=64", text});
  };
  EXPECT_THAT(
      mistakes("model.nmae=R50x1"),
      ElementsAre(
          "override 2 (model.nmae=R50x1): unknown key 'model.nmae': did you mean 'model.name'?"));
  EXPECT_THAT(mistakes("learning_rate=1"),
              ElementsAre("override 2 (learning_rate=1): unknown key 'learning_rate': did "
                          "you mean 'optimizer.learning_rate'?"));
  EXPECT_THAT(
      mistakes("batch"),
      ElementsAre("override 2 (batch): expected key=value, such as optimizer.learning_rate=0.1"));
  EXPECT_THAT(mistakes("model=R50x1"),
              ElementsAre("override 2 (model=R50x1): 'model' is a group of settings: name one "
                          "of them, such as model.name"));
  EXPECT_THAT(mistakes("batch.size=4"),
              ElementsAre("override 2 (batch.size=4): unknown key 'batch.size': 'batch' has no "
                          "settings of its own"));
  EXPECT_THAT(
      mistakes("batch=x"),
      ElementsAre("override 2 (batch=x): batch is 'x': expected a whole number such as 4096"));
  EXPECT_THAT(
      mistakes("data.lanes=7"),
      ElementsAre(
          "override 2 (data.lanes=7): data.lanes is 7: it has to divide batch, which is 64"));
  EXPECT_THAT(
      mistakes("schedule.drops=[3ep, {a: b}]"),
      ElementsAre(
          "override 2 (schedule.drops=[3ep, {a: b}]): schedule.drops[1] is a group of settings"));
}

TEST(Config, names_a_file_that_cannot_be_read) {
  try {
    load_config("/nowhere/at-all.yaml", {});
    FAIL() << "expected ConfigError";
  } catch (const ConfigError& error) {
    EXPECT_STREQ(
        error.what(),
        "/nowhere/at-all.yaml: the configuration cannot be read: No such file or directory");
  }
}

}  // namespace
}  // namespace bit::launcher
