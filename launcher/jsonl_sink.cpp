#include "launcher/jsonl_sink.h"

#include <nlohmann/json.hpp>
#include <sstream>

#include "trainer/run_files.h"

namespace bit::launcher {
namespace {

using Json = nlohmann::ordered_json;  // keys in the order they are written here

// Invalid UTF-8 in a path must not end the run.
std::string line_of(const Json& object) {
  return object.dump(-1, ' ', false, nlohmann::detail::error_handler_t::replace) + "\n";
}

}  // namespace

void JsonlSink::start(const trainer::StartReport& report) {
  auto& files = storage::posix_file_system();
  if (files.exists(path_)) {
    const std::string before = storage::read_file(files, path_);
    const bool all = !report.evaluated_weights.empty();
    const std::string kept =
        trainer::lines_up_to(before, all ? ~std::uint64_t{0} : report.first_step);
    if (kept != before) storage::write_file_atomically(files, path_, kept);
  }
  file_ = std::make_unique<AppendFile>(path_);
  step_ = report.first_step;
}

void JsonlSink::step(const trainer::StepReport& report) {
  step_ = report.step;
  if (!report.on_record) return;
  write(line_of(Json{{"event", "step"},
                     {"step", report.step},
                     {"epoch", report.epoch},
                     {"loss", report.loss},
                     {"learning_rate", report.learning_rate},
                     {"gradient_norm", report.gradient_norm},
                     {"parameter_norm", report.parameter_norm},
                     {"update_norm", report.update_norm},
                     {"images_per_second", report.images_per_second},
                     {"step_seconds", report.step_seconds},
                     {"data_wait_seconds", report.data_wait_seconds},
                     {"forward_seconds", report.forward_seconds},
                     {"backward_seconds", report.backward_seconds},
                     {"comm_exposed_seconds", report.comm_exposed_seconds},
                     {"optimizer_seconds", report.optimizer_seconds},
                     {"checkpoint_blocked_seconds", report.checkpoint_blocked_seconds},
                     {"other_seconds", report.other_seconds}}));
}

void JsonlSink::layers(const trainer::LayersReport& report) {
  Json layers = Json::array();
  for (const auto& layer : report.layers) {
    Json object{{"name", layer.name},
                {"weight_norm", layer.weight_norm},
                {"gradient_norm", layer.gradient_norm},
                {"update_norm", layer.update_norm}};
    if (layer.effective_learning_rate) {
      object["effective_learning_rate"] = *layer.effective_learning_rate;
    }
    layers.push_back(std::move(object));
  }
  write(line_of(Json{{"event", "layers"}, {"step", report.step}, {"layers", std::move(layers)}}));
}

void JsonlSink::anomaly(const trainer::AnomalyReport& report) {
  Json object{{"event", "anomaly"},
              {"step", report.step},
              {"kind", report.kind},
              {"action", report.action},
              {"loss", report.loss},
              {"average", report.average},
              {"gradient_norm", report.gradient_norm},
              {"count", report.count}};
  if (report.back_to) object["back_to"] = *report.back_to;
  write(line_of(object));
}

void JsonlSink::evaluation(const trainer::EvalReport& report) {
  Json object{
      {"event", "eval"},           {"step", report.step},       {"split", report.split},
      {"records", report.records}, {"skipped", report.skipped}, {"top1", report.top1},
      {"top5", report.top5},       {"loss", report.loss},       {"seconds", report.seconds}};
  if (!report.weights.empty()) object["weights"] = report.weights;
  write(line_of(object));
}

void JsonlSink::checkpoint(const trainer::CheckpointReport& report) {
  Json object{{"event", "checkpoint"},
              {"step", report.step},
              {"path", report.path},
              {"bytes", report.bytes},
              {"blocked_seconds", report.blocked_seconds},
              {"seconds", report.seconds},
              {"ok", report.ok}};
  if (!report.ok) object["error"] = report.error;
  write(line_of(object));
}

void JsonlSink::done(const trainer::DoneReport& report) {
  Json object{{"event", "done"},
              {"step", report.step},
              {"reason", report.reason},
              {"seconds", report.seconds}};
  if (!report.model.empty()) object["model"] = report.model;
  write(line_of(object));
}

void JsonlSink::failed(const trainer::FailureReport& report) {
  if (!file_) return;
  const std::chrono::duration<double> age = std::chrono::steady_clock::now() - began_;
  write(line_of(Json{{"event", "done"},
                     {"step", step_},
                     {"reason", "failed: " + report.reason},
                     {"seconds", age.count()},
                     {"exit_code", report.exit_code}}));
}

bool JsonlSink::has_evaluation(std::uint64_t step, const std::string& split) const {
  auto& files = storage::posix_file_system();
  if (!files.exists(path_)) return false;
  std::istringstream lines(storage::read_file(files, path_));
  for (std::string line; std::getline(lines, line);) {
    const Json object = Json::parse(line, nullptr, false);
    if (object.is_object() && object.value("event", "") == "eval" &&
        object.value("step", Json()) == step && object.value("split", Json()) == split &&
        !object.contains("weights"))
      return true;
  }
  return false;
}

void JsonlSink::write(const std::string& line) {
  if (!file_) file_ = std::make_unique<AppendFile>(path_);
  file_->append(std::as_bytes(std::span(line)));
}

}  // namespace bit::launcher
