#include "launcher/rank_log.h"

#include <fmt/core.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <cerrno>
#include <nlohmann/json.hpp>

#include "storage/file.h"

namespace bit::launcher {
namespace {

std::string json_text(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// '%' starts a field in a pattern of spdlog.
std::string for_pattern(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '%' ? "%%" : std::string(1, c);
  return out;
}

}  // namespace

RankLog::RankLog(const std::string& output, int rank, const std::string& host) {
  storage::posix_file_system().make_directories(output + "/log");
  const std::string path = fmt::format("{}/log/rank-{}.log", output, rank);
  try {
    file_ = std::make_shared<spdlog::logger>(
        "file", std::make_shared<spdlog::sinks::basic_file_sink_mt>(path));
  } catch (const spdlog::spdlog_ex&) {
    throw storage::StorageError(std::error_code(errno != 0 ? errno : EIO, std::generic_category()),
                                "open", path);
  }
  // Messages arrive as JSON text already.
  file_->set_formatter(std::make_unique<spdlog::pattern_formatter>(
      fmt::format(
          R"({{"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l","rank":{},"host":{},"message":%v}})",
          rank, for_pattern(json_text(host))),
      spdlog::pattern_time_type::utc));
  file_->flush_on(spdlog::level::info);
  // A line that cannot be written, to a full disk say, is lost: what matters is said elsewhere too.
  file_->set_error_handler([](const std::string&) {});
  if (rank == 0) {
    terminal_ = std::make_shared<spdlog::logger>("terminal",
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
    terminal_->set_pattern("%l: %v");
  }
}

RankLog::~RankLog() = default;

void RankLog::info(const std::string& message) { file_->info(json_text(message)); }
void RankLog::warn(const std::string& message) {
  file_->warn(json_text(message));
  if (terminal_) terminal_->warn(message);
}
void RankLog::error(const std::string& message) { file_->error(json_text(message)); }

void LogSink::start(const trainer::StartReport& report) {
  const std::string from =
      report.resumed_from.empty() ? "from the start" : "from " + report.resumed_from;
  log_.info(fmt::format("training {} at step {} of {} on {} ranks", from, report.first_step,
                        report.total_steps, report.ranks));
}

void LogSink::step(const trainer::StepReport& report) {
  if (!report.on_record) return;
  log_.info(
      fmt::format("step {}/{} epoch {:.3f} loss {:.5f} learning rate {:.5g} {:.1f} img/s {:.4f} s, "
                  "data wait {:.4f} s",
                  report.step, report.total_steps, report.epoch, report.loss, report.learning_rate,
                  report.images_per_second, report.step_seconds, report.data_wait_seconds));
}

void LogSink::evaluation(const trainer::EvalReport& report) {
  log_.info(
      fmt::format("evaluated step {} on {}: top-1 {:.4f} top-5 {:.4f} loss {:.5f}, {} records, {} "
                  "skipped, {:.1f} s",
                  report.step, report.split, report.top1, report.top5, report.loss, report.records,
                  report.skipped, report.seconds));
}

void LogSink::checkpoint(const trainer::CheckpointReport& report) {
  if (report.ok) {
    log_.info(fmt::format("checkpoint {}: {} bytes in {:.2f} s, training waited {:.3f} s",
                          report.path, report.bytes, report.seconds, report.blocked_seconds));
  } else {
    log_.error(fmt::format("checkpoint at step {} failed: {}", report.step, report.error));
  }
}

void LogSink::done(const trainer::DoneReport& report) {
  log_.info(
      fmt::format("{} at step {} after {:.1f} s", report.reason, report.step, report.seconds));
}

void LogSink::note(const std::string& text) { log_.info(text); }

}  // namespace bit::launcher
