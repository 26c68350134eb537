// metrics.jsonl, TensorBoard events and the ranks' logs: what is in the files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "launcher/jsonl_sink.h"
#include "launcher/rank_log.h"
#include "launcher/tensorboard_sink.h"
#include "storage/file.h"
#include "tests/support/process.h"

namespace bit::launcher {
namespace {

using test::TempDirectory;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

trainer::StepReport report_at(std::uint64_t step) {
  trainer::StepReport report;
  report.step = step;
  report.total_steps = 100;
  report.epoch = 0.5;
  report.loss = 1.25;
  report.learning_rate = 0.03;
  report.gradient_norm = 4;
  report.parameter_norm = 131;
  report.update_norm = 0.25;
  report.images_per_second = 640;
  report.step_seconds = 0.1;
  report.data_wait_seconds = 0.01;
  report.forward_seconds = 0.02;
  report.backward_seconds = 0.03;
  report.comm_exposed_seconds = 0.01;
  report.optimizer_seconds = 0.01;
  report.checkpoint_blocked_seconds = 0.005;
  report.other_seconds = 0.015;
  return report;
}

std::vector<nlohmann::json> lines_of(const std::string& path) {
  std::vector<nlohmann::json> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

std::vector<std::string> keys_of(const nlohmann::json& object) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : object.items()) keys.push_back(key);
  return keys;
}

TEST(JsonlSink, writes_the_keys_that_are_fixed) {
  const TempDirectory directory;
  JsonlSink sink(directory / "metrics.jsonl");
  sink.start({0, 100, 2, ""});
  sink.step(report_at(1));
  sink.evaluation({1, "test", 1000, 2, 0.6, 0.9, 1.1, 3.5});
  sink.checkpoint({1, "run/checkpoints/step-1", 1234, 0.1, 0.5, true, ""});
  sink.checkpoint({2, "run/checkpoints/step-2", 0, 0.1, 0.5, false, "disk full"});
  sink.done({1, "complete", 12.5, "run/model.safetensors"});
  const auto lines = lines_of(directory / "metrics.jsonl");
  ASSERT_EQ(lines.size(), 5u);
  EXPECT_THAT(
      keys_of(lines[0]),
      testing::UnorderedElementsAre(
          "event", "step", "epoch", "loss", "learning_rate", "gradient_norm", "parameter_norm",
          "update_norm", "images_per_second", "step_seconds", "data_wait_seconds",
          "forward_seconds", "backward_seconds", "comm_exposed_seconds", "optimizer_seconds",
          "checkpoint_blocked_seconds", "other_seconds"));
  EXPECT_EQ(lines[0]["event"], "step");
  EXPECT_EQ(lines[0]["loss"], 1.25);
  EXPECT_EQ(lines[1]["event"], "eval");
  EXPECT_EQ(lines[1]["top1"], 0.6);
  EXPECT_EQ(lines[1]["records"], 1000);
  EXPECT_EQ(lines[2]["event"], "checkpoint");
  EXPECT_EQ(lines[2]["ok"], true);
  EXPECT_EQ(lines[3]["error"], "disk full");
  EXPECT_EQ(lines[4]["event"], "done");
  EXPECT_EQ(lines[4]["model"], "run/model.safetensors");
}

TEST(JsonlSink, writes_layers_anomalies_and_what_was_evaluated) {
  const TempDirectory directory;
  JsonlSink sink(directory / "metrics.jsonl");
  sink.start({0, 100, 2, ""});
  sink.layers({5, {{"stem.conv.weight", 2, 3, 4, 0.5}, {"head.fc.bias", 1, 1, 1, std::nullopt}}});
  sink.anomaly({6, "spike", "rollback", 9, 2, 1.5, 1, 4});
  sink.evaluation({6, "test", 10, 0, 0.5, 1, 2, 1, "given.npz"});
  const auto lines = lines_of(directory / "metrics.jsonl");
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0]["layers"][0]["name"], "stem.conv.weight");
  EXPECT_EQ(lines[0]["layers"][0]["effective_learning_rate"], 0.5);
  EXPECT_FALSE(lines[0]["layers"][1].contains("effective_learning_rate"));
  EXPECT_EQ(lines[1]["event"], "anomaly");
  EXPECT_EQ(lines[1]["back_to"], 4);
  EXPECT_EQ(lines[2]["weights"], "given.npz");
  EXPECT_FALSE(sink.has_evaluation(6, "test"));  // it was not the run's own
}

TEST(JsonlSink, phases_add_up_to_the_step) {
  const TempDirectory directory;
  JsonlSink sink(directory / "metrics.jsonl");
  sink.start({0, 100, 1, ""});
  sink.step(report_at(1));
  const auto line = lines_of(directory / "metrics.jsonl").at(0);
  double sum = 0;
  for (const char* key :
       {"data_wait_seconds", "forward_seconds", "backward_seconds", "comm_exposed_seconds",
        "optimizer_seconds", "checkpoint_blocked_seconds", "other_seconds"}) {
    sum += line.at(key).get<double>();
  }
  EXPECT_NEAR(sum, line.at("step_seconds").get<double>(), 1e-9);
}

TEST(JsonlSink, a_resumed_run_has_each_step_once) {
  const TempDirectory directory;
  const std::string path = directory / "metrics.jsonl";
  {
    JsonlSink killed(path);
    killed.start({0, 100, 1, ""});
    for (std::uint64_t step = 1; step <= 7; ++step) killed.step(report_at(step));
    killed.evaluation({6, "test", 10, 0, 0.1, 0.2, 2, 1});
    std::ofstream(path, std::ios::app)
        << R"({"event":"step","step":8,"lo)";  // cut short by the kill
  }
  JsonlSink resumed(path);
  resumed.start({5, 100, 1, "step-5"});
  for (std::uint64_t step = 6; step <= 9; ++step) resumed.step(report_at(step));
  std::vector<int> steps;
  for (const auto& line : lines_of(path)) steps.push_back(line.at("step").get<int>());
  EXPECT_THAT(steps, ElementsAre(1, 2, 3, 4, 5, 6, 7, 8, 9));
}

TEST(JsonlSink, a_new_run_in_an_old_directory_starts_over) {
  const TempDirectory directory;
  const std::string path = directory / "metrics.jsonl";
  std::ofstream(path) << "{\"event\":\"step\",\"step\":3}\nno json\n";
  JsonlSink sink(path);
  sink.start({0, 100, 1, ""});
  EXPECT_TRUE(lines_of(path).empty());
}

TEST(JsonlSink, a_loss_that_is_no_number_is_null) {
  const TempDirectory directory;
  JsonlSink sink(directory / "metrics.jsonl");
  sink.start({0, 100, 1, ""});
  auto report = report_at(1);
  report.loss = std::numeric_limits<double>::quiet_NaN();
  sink.step(report);
  EXPECT_TRUE(lines_of(directory / "metrics.jsonl").at(0).at("loss").is_null());
}

TEST(JsonlSink, leaves_out_steps_that_are_not_for_the_record) {
  const TempDirectory directory;
  JsonlSink sink(directory / "metrics.jsonl");
  sink.start({0, 100, 1, ""});
  auto report = report_at(1);
  report.on_record = false;
  sink.step(report);
  sink.step(report_at(2));
  const auto lines = lines_of(directory / "metrics.jsonl");
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].at("step"), 2);
}

TEST(JsonlSink, a_failure_ends_the_run_with_reason_code_and_the_step_reached) {
  const TempDirectory directory;
  JsonlSink sink(directory / "metrics.jsonl");
  sink.start({0, 100, 1, ""});
  auto report = report_at(7);
  report.on_record = false;
  sink.step(report);
  sink.failed({"disk full", 74});
  const auto line = lines_of(directory / "metrics.jsonl").at(0);
  EXPECT_THAT(keys_of(line),
              testing::UnorderedElementsAre("event", "step", "reason", "seconds", "exit_code"));
  EXPECT_EQ(line["event"], "done");
  EXPECT_EQ(line["step"], 7);
  EXPECT_EQ(line["reason"], "failed: disk full");
  EXPECT_EQ(line["exit_code"], 74);
}

TEST(JsonlSink, a_run_that_was_refused_leaves_the_file_as_it_is) {
  const TempDirectory directory;
  JsonlSink sink(directory / "metrics.jsonl");
  sink.failed({"seed differs", 2});
  EXPECT_FALSE(std::filesystem::exists(directory / "metrics.jsonl"));
}

TEST(JsonlSink, finds_the_evaluation_of_a_step_and_split) {
  const TempDirectory directory;
  JsonlSink sink(directory / "metrics.jsonl");
  EXPECT_FALSE(sink.has_evaluation(5, "test"));
  sink.start({0, 100, 1, ""});
  sink.step(report_at(6));
  sink.evaluation({5, "test", 10, 0, 0.1, 0.2, 2, 1});
  EXPECT_TRUE(sink.has_evaluation(5, "test"));
  EXPECT_FALSE(sink.has_evaluation(5, "validation"));
  EXPECT_FALSE(sink.has_evaluation(6, "test"));
}

TEST(JsonlSink, a_directory_that_is_not_there_is_a_storage_error_naming_the_file) {
  JsonlSink sink("/nowhere/metrics.jsonl");
  try {
    sink.start({0, 100, 1, ""});
    FAIL() << "expected StorageError";
  } catch (const storage::StorageError& error) {
    EXPECT_THAT(error.what(), HasSubstr("/nowhere/metrics.jsonl"));
  }
}

TEST(TensorboardSink, writes_events_that_read_back) {
  const TempDirectory directory;
  TensorboardSink sink(directory.path());
  sink.start({0, 100, 1, ""});
  sink.step(report_at(7));
  sink.evaluation({7, "test", 1000, 0, 0.6, 0.9, 1.1, 3.5});

  auto& files = storage::posix_file_system();
  const auto names = files.list(directory.path());
  ASSERT_EQ(names.size(), 1u);
  EXPECT_THAT(names[0].name,
              testing::MatchesRegex("events\\.out\\.tfevents\\.[0-9]+\\..+\\.[0-9]+"));
  const auto file = files.open(directory / names[0].name);
  storage::RecordReader reader(*file);
  std::vector<schemas::Event> events;
  while (const auto record = reader.next()) {
    ASSERT_FALSE(record->fault);
    schemas::Event event;
    ASSERT_TRUE(event.ParseFromArray(record->data.data(), static_cast<int>(record->data.size())));
    events.push_back(event);
  }
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0].file_version(), "brain.Event:2");
  EXPECT_GT(events[0].wall_time(), 1.6e9);
  EXPECT_EQ(events[1].step(), 7);
  std::map<std::string, float> scalars;
  for (const auto& event : events) {
    for (const auto& value : event.summary().value()) scalars[value.tag()] = value.simple_value();
  }
  const std::map<std::string, float> expected = {
      {"loss", 1.25f},           {"learning_rate", 0.03f}, {"images_per_second", 640},
      {"data_wait_share", 0.1f}, {"eval/top1", 0.6f},      {"eval/top5", 0.9f},
      {"eval/loss", 1.1f},       {"norm/gradient", 4},     {"norm/parameters", 131},
      {"norm/update", 0.25f}};
  EXPECT_EQ(scalars, expected);
}

TEST(TensorboardSink, leaves_no_file_of_a_run_without_events) {
  const TempDirectory directory;
  TensorboardSink sink(directory.path());
  sink.start({100, 100, 1, "step-100"});
  EXPECT_TRUE(storage::posix_file_system().list(directory.path()).empty());
}

TEST(RankLog, writes_json_lines_for_its_rank) {
  const TempDirectory directory;
  {
    RankLog log(directory.path(), 3, "host-%a");
    log.info("a \"quoted\" line\nand another, 100%");
    log.warn("careful");
    LogSink sink(log);
    sink.checkpoint({2, "step-2", 0, 0, 0, false, "disk full"});
  }
  const auto lines = lines_of(directory / "log/rank-3.log");
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_THAT(keys_of(lines[0]), ElementsAre("host", "level", "message", "rank", "time"));
  EXPECT_EQ(lines[0]["message"], "a \"quoted\" line\nand another, 100%");
  EXPECT_EQ(lines[0]["rank"], 3);
  EXPECT_EQ(lines[0]["host"], "host-%a");
  EXPECT_THAT(lines[0]["time"].get<std::string>(),
              testing::MatchesRegex("20[0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9:]+\\.[0-9]+Z"));
  EXPECT_EQ(lines[1]["level"], "warning");
  EXPECT_EQ(lines[2]["level"], "error");
  EXPECT_THAT(lines[2]["message"].get<std::string>(), HasSubstr("disk full"));
}

TEST(RankLog, appends_to_what_an_earlier_process_wrote) {
  const TempDirectory directory;
  for (const char* message : {"first", "second"})
    RankLog(directory.path(), 1, "host").info(message);
  EXPECT_EQ(lines_of(directory / "log/rank-1.log").size(), 2u);
}

TEST(RankLog, shows_only_warnings_of_rank_0_on_the_terminal) {
  const TempDirectory directory;
  testing::internal::CaptureStderr();
  RankLog first(directory.path(), 0, "host");
  first.info("quiet");
  first.warn("loud");
  first.error("said by the program, last");
  RankLog second(directory.path(), 1, "host");
  second.warn("elsewhere");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "warning: loud\n");
}

TEST(RankLog, names_a_file_it_cannot_open) {
  const TempDirectory directory;
  std::filesystem::create_directories(directory /
                                      "log/rank-0.log");  // a directory where the file should be
  try {
    RankLog log(directory.path(), 0, "host");
    FAIL() << "expected StorageError";
  } catch (const storage::StorageError& error) {
    EXPECT_THAT(error.what(), HasSubstr("log/rank-0.log"));
  }
}

}  // namespace
}  // namespace bit::launcher
