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
  if (rank == 0) {
    terminal_ = std::make_shared<spdlog::logger>("terminal",
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
    terminal_->set_pattern("%l: %v");
    terminal_->set_level(spdlog::level::warn);
  }
}

RankLog::~RankLog() = default;

void RankLog::info(const std::string& message) { write(spdlog::level::info, message); }
void RankLog::warn(const std::string& message) { write(spdlog::level::warn, message); }
void RankLog::error(const std::string& message) { write(spdlog::level::err, message); }

void RankLog::write(int level, const std::string& message) {
  const auto spdlog_level = static_cast<spdlog::level::level_enum>(level);
  file_->log(spdlog_level, json_text(message));
  if (terminal_) terminal_->log(spdlog_level, message);
}

void LogSink::start(const trainer::StartReport& report) {
  const std::string from =
      report.resumed_from.empty() ? "from the start" : "from " + report.resumed_from;
  log_.info(fmt::format("training {} at step {} of {} on {} ranks", from, report.first_step,
                        report.total_steps, report.ranks));
}

void LogSink::step(const trainer::StepReport& report) {
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

}  // namespace bit::launcher
