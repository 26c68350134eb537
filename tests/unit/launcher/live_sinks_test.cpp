// The progress line on a terminal and without one; the Prometheus endpoint over the loopback.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <regex>
#include <sstream>

#include "launcher/config.h"
#include "launcher/progress_sink.h"
#include "launcher/prometheus_sink.h"

namespace bit::launcher {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class Progress : public testing::Test {
 protected:
  ProgressSink sink(int width) {
    return ProgressSink({&out_, width, 10, [this] { return now_; }});
  }
  trainer::StepReport at(std::uint64_t step) {
    trainer::StepReport report;
    report.step = step;
    report.total_steps = 200;
    report.epoch = 1.5;
    report.loss = 2.3456;
    report.learning_rate = 0.003;
    report.images_per_second = 640;
    report.step_seconds = 1;
    report.data_wait_seconds = 0.25;
    return report;
  }
  std::vector<std::string> lines() const {
    std::vector<std::string> all;
    std::istringstream text(out_.str());
    for (std::string line; std::getline(text, line);) all.push_back(line);
    return all;
  }

  std::ostringstream out_;
  double now_ = 1000;
};

TEST_F(Progress, without_a_terminal_says_everything_in_plain_lines) {
  ProgressSink progress = sink(0);
  progress.start({0, 200, 2, ""});
  now_ += 1;
  progress.step(at(1));
  progress.evaluation({1, "test", 1000, 2, 0.6, 0.9, 1.1, 65});
  progress.checkpoint({1, "run/step-1", 2000000, 0.012, 0.5, true, ""});
  progress.checkpoint({2, "", 0, 0, 0, false, "disk full"});
  progress.done({200, "complete", 3723, "run/model.safetensors"});
  EXPECT_THAT(
      lines(),
      testing::ElementsAre(
          "training 200 steps on 2 ranks",
          "step 1/200 0%  epoch 1.50  loss 2.3456  learning rate 0.003  640 img/s  data wait "
          "25%  3:19 left",
          "evaluated step 1 on test: top-1 60.00%  top-5 90.00%  loss 1.1000  (1000 records, 2 "
          "skipped, 1:05)",
          "checkpoint at step 1: run/step-1 (2.0 MB in 0.5 s, training waited 12 ms)",
          "complete at step 200 after 1:02:03; weights: run/model.safetensors"));
}

TEST_F(Progress, without_a_terminal_shows_steps_seldom_and_the_last_always) {
  ProgressSink progress = sink(0);
  for (std::uint64_t step = 1; step <= 25; ++step) {
    progress.step(at(step));
    now_ += 1;
  }
  progress.step(at(200));
  const auto all = lines();
  ASSERT_EQ(all.size(), 4u);
  EXPECT_THAT(all[0], HasSubstr("step 1/200"));
  EXPECT_THAT(all[1], HasSubstr("step 11/200"));
  EXPECT_THAT(all[2], HasSubstr("step 21/200"));
  EXPECT_THAT(all[3], HasSubstr("step 200/200 100%"));
  EXPECT_THAT(out_.str(), Not(HasSubstr("\x1b")));
}

TEST_F(Progress, on_a_terminal_redraws_one_line_that_fits) {
  for (const int width : {40, 80, 160, 300}) {
    out_.str("");
    ProgressSink progress = sink(width);
    progress.step(at(100));
    const std::string drawn = out_.str();
    EXPECT_EQ(drawn.front(), '\r');
    EXPECT_THAT(drawn, Not(HasSubstr("\n")));
    EXPECT_TRUE(drawn.ends_with("\x1b[K"));
    EXPECT_LT(drawn.size() - 4, static_cast<std::size_t>(width)) << drawn;
    EXPECT_THAT(drawn, HasSubstr("step 100/200 50%"));
    if (width >= 160) {
      EXPECT_THAT(drawn, HasSubstr("[===="));
      EXPECT_THAT(drawn, HasSubstr("step 100/200 50% | epoch 1.50 | loss 2.3456"));
    }
  }
}

TEST_F(Progress, on_a_terminal_redraws_at_most_ten_times_a_second) {
  ProgressSink progress = sink(120);
  for (std::uint64_t step = 1; step <= 100; ++step) {
    progress.step(at(step));
    now_ += 0.01;
  }
  const std::string drawn = out_.str();
  const auto times = std::count(drawn.begin(), drawn.end(), '\r');
  EXPECT_GE(times, 9);
  EXPECT_LE(times, 11);
}

TEST_F(Progress, lines_that_stay_take_the_place_of_the_bar) {
  ProgressSink progress = sink(120);
  progress.step(at(1));
  progress.done({1, "stopped: signal USR2", 5, ""});
  EXPECT_TRUE(out_.str().ends_with("\rstopped: signal USR2 at step 1 after 0:05\x1b[K\n"));
}

TEST_F(Progress, a_failure_leaves_the_line_of_the_bar_and_says_nothing_itself) {
  ProgressSink progress = sink(120);
  progress.step(at(1));
  progress.failed({"disk full", 74});
  EXPECT_TRUE(out_.str().ends_with("\x1b[K\n"));
  EXPECT_THAT(out_.str(), Not(HasSubstr("disk full")));
}

TEST_F(Progress, shows_notes_as_lines_that_stay) {
  ProgressSink progress = sink(0);
  progress.note("changed since the checkpoint: threads: 1 → 2");
  EXPECT_EQ(out_.str(), "changed since the checkpoint: threads: 1 → 2\n");
}

TEST_F(Progress, names_the_checkpoint_a_run_is_resumed_from) {
  ProgressSink progress = sink(0);
  progress.start({50, 200, 1, "run/checkpoints/step-50"});
  EXPECT_EQ(out_.str(), "resumed from run/checkpoints/step-50: step 50 of 200, on 1 rank\n");
}

TEST(ClockText, is_hours_minutes_and_seconds) {
  EXPECT_EQ(clock_text(0), "0:00");
  EXPECT_EQ(clock_text(59.6), "1:00");
  EXPECT_EQ(clock_text(3599), "59:59");
  EXPECT_EQ(clock_text(90061), "25:01:01");
}

int connect_to(int port) {
  const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(client, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  return client;
}

// What a GET of a page on this host gives, headers included.
std::string scrape(int port, const std::string& page = "/metrics") {
  const int client = connect_to(port);
  const std::string request = "GET " + page + " HTTP/1.0\r\nHost: localhost\r\n\r\n";
  EXPECT_EQ(write(client, request.data(), request.size()), static_cast<ssize_t>(request.size()));
  std::string response;
  char buffer[4096];
  for (ssize_t got = 0; (got = read(client, buffer, sizeof(buffer))) > 0;) {
    response.append(buffer, static_cast<std::size_t>(got));
  }
  close(client);
  return response;
}

double value_of(const std::string& metrics, const std::string& name) {
  const std::string line_start = "\n" + name + " ";
  const std::size_t at = metrics.find(line_start);
  EXPECT_NE(at, std::string::npos) << name << " is not in\n" << metrics;
  return at == std::string::npos ? 0 : std::stod(metrics.substr(at + line_start.size()));
}

TEST(PrometheusSink, serves_the_numbers_of_the_run) {
  PrometheusSink sink(":0");
  sink.start({40, 200, 1, "step-40"});
  trainer::StepReport report;
  report.step = 42;
  report.total_steps = 200;
  report.loss = 1.5;
  report.learning_rate = 0.25;
  report.images = 64;
  report.step_seconds = 0.1;
  report.data_wait_seconds = 0.025;
  report.forward_seconds = 0.05;
  report.backward_seconds = 0.025;
  report.loader.images = 64;
  report.loader.images_from_cache = 24;
  report.loader.bytes_read = 4000;
  report.loader.decode_busy_seconds = 0.75;
  report.loader.parse_seconds = 0.25;
  report.loader.ready_batches = 3;
  sink.step(report);
  sink.evaluation({42, "test", 10, 0, 0.75, 0.9, 1, 1});
  sink.checkpoint({42, "step-42", 10, 0, 2, true, ""});
  sink.checkpoint({43, "", 0, 0, 0, false, "disk full"});
  const std::string metrics = scrape(sink.port());
  EXPECT_THAT(metrics, HasSubstr("200 OK"));
  EXPECT_EQ(value_of(metrics, "bit_train_steps_total"), 1);
  EXPECT_EQ(value_of(metrics, "bit_train_images_total"), 64);
  EXPECT_EQ(value_of(metrics, "bit_train_loss"), 1.5);
  EXPECT_EQ(value_of(metrics, "bit_train_learning_rate"), 0.25);
  EXPECT_EQ(value_of(metrics, "bit_train_data_wait_ratio"), 0.25);
  EXPECT_EQ(value_of(metrics, "bit_train_step_seconds_count"), 1);
  EXPECT_EQ(value_of(metrics, "bit_loader_images_total{source=\"shards\"}"), 40);
  EXPECT_EQ(value_of(metrics, "bit_loader_images_total{source=\"cache\"}"), 24);
  EXPECT_EQ(value_of(metrics, "bit_loader_read_bytes_total"), 4000);
  EXPECT_EQ(value_of(metrics, "bit_loader_busy_seconds_total{stage=\"decode\"}"), 0.5);
  EXPECT_EQ(value_of(metrics, "bit_loader_ready_batches"), 3);
  EXPECT_EQ(value_of(metrics, "bit_eval_top1_ratio"), 0.75);
  EXPECT_GT(value_of(metrics, "bit_checkpoint_last_success_timestamp_seconds"), 1.6e9);
  EXPECT_EQ(value_of(metrics, "bit_checkpoint_seconds_sum"), 2);
  EXPECT_EQ(value_of(metrics, "bit_checkpoint_failures_total"), 1);
  EXPECT_THAT(metrics, HasSubstr("bit_build_info{version=\"bit "));

  double phases = 0;
  for (const char* phase : {"data_wait", "forward", "backward", "comm_exposed", "optimizer",
                            "checkpoint_blocked", "other"}) {
    phases +=
        value_of(metrics, std::string("bit_train_phase_seconds_sum{phase=\"") + phase + "\"}");
  }
  EXPECT_NEAR(phases, value_of(metrics, "bit_train_step_seconds_sum"), 1e-9);
}

TEST(PrometheusSink, has_no_checkpoint_or_evaluation_before_the_first) {
  PrometheusSink sink(":0");
  sink.start({0, 200, 1, ""});
  const std::string fresh = scrape(sink.port());
  EXPECT_THAT(fresh, Not(HasSubstr("bit_checkpoint_last_success_timestamp_seconds")));
  EXPECT_THAT(fresh, Not(HasSubstr("bit_eval_top1_ratio")));
}

TEST(PrometheusSink, a_resumed_run_knows_when_its_checkpoint_was_taken) {
  PrometheusSink sink(":0");
  sink.start({40, 200, 1, "step-40", 1.75e9});
  EXPECT_EQ(value_of(scrape(sink.port()), "bit_checkpoint_last_success_timestamp_seconds"), 1.75e9);
}

TEST(PrometheusSink, knows_no_other_page) {
  const PrometheusSink sink(":0");
  EXPECT_THAT(scrape(sink.port(), "/"), HasSubstr("404 Not Found"));
}

TEST(PrometheusSink, a_client_that_leaves_does_no_harm) {
  const PrometheusSink sink(":0");
  const int client = connect_to(sink.port());
  close(client);
  EXPECT_THAT(scrape(sink.port()), HasSubstr("200 OK"));
}

TEST(PrometheusSink, names_an_address_that_is_taken) {
  const PrometheusSink first(":0");
  const std::string taken = ":" + std::to_string(first.port());
  try {
    const PrometheusSink second(taken);
    FAIL() << "expected ConfigError";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), HasSubstr("metrics.prometheus: cannot listen on 127.0.0.1" + taken +
                                        ": Address already in use"));
  }
}

}  // namespace
}  // namespace bit::launcher
