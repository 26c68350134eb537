#include "launcher/tensorboard_sink.h"

#include <fmt/core.h>
#include <unistd.h>

#include <array>
#include <chrono>

namespace bit::launcher {
namespace {

double unix_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string host_name() {
  std::array<char, 256> name{};
  gethostname(name.data(), name.size() - 1);
  return name.data();
}

}  // namespace

void TensorboardSink::open() {
  file_ = std::make_unique<AppendFile>(fmt::format(
      "{}/events.out.tfevents.{:.0f}.{}.{}", directory_, unix_seconds(), host_name(), getpid()));
  records_ = std::make_unique<storage::RecordWriter>(*file_);
  schemas::Event event;
  event.set_wall_time(unix_seconds());
  event.set_file_version(
      "brain.Event:2");  // tensorboard/backend/event_processing: the first event of a file
  write(event);
}

void TensorboardSink::step(const trainer::StepReport& report) {
  const double share = report.step_seconds > 0 ? report.data_wait_seconds / report.step_seconds : 0;
  std::vector<std::pair<std::string, double>> scalars = {
      {"loss", report.loss},
      {"learning_rate", report.learning_rate},
      {"images_per_second", report.images_per_second},
      {"data_wait_share", share}};
  if (report.updated) {
    scalars.insert(scalars.end(), {{"norm/gradient", report.gradient_norm},
                                   {"norm/parameters", report.parameter_norm},
                                   {"norm/update", report.update_norm}});
  }
  write_scalars(report.step, scalars);
}

void TensorboardSink::layers(const trainer::LayersReport& report) {
  std::vector<std::pair<std::string, double>> scalars;
  for (const auto& layer : report.layers) {
    scalars.emplace_back("weight_norm/" + layer.name, layer.weight_norm);
    scalars.emplace_back("gradient_norm/" + layer.name, layer.gradient_norm);
    scalars.emplace_back("update_norm/" + layer.name, layer.update_norm);
    if (layer.effective_learning_rate) {
      scalars.emplace_back("effective_learning_rate/" + layer.name, *layer.effective_learning_rate);
    }
  }
  write_scalars(report.step, scalars);
}

void TensorboardSink::evaluation(const trainer::EvalReport& report) {
  write_scalars(
      report.step,
      {{"eval/top1", report.top1}, {"eval/top5", report.top5}, {"eval/loss", report.loss}});
}

void TensorboardSink::write_scalars(std::uint64_t step,
                                    const std::vector<std::pair<std::string, double>>& scalars) {
  if (!records_) open();
  schemas::Event event;
  event.set_wall_time(unix_seconds());
  event.set_step(static_cast<std::int64_t>(step));
  for (const auto& [tag, number] : scalars) {
    auto* value = event.mutable_summary()->add_value();
    value->set_tag(tag);
    value->set_simple_value(static_cast<float>(number));
  }
  write(event);
}

void TensorboardSink::write(const schemas::Event& event) {
  const std::string bytes = event.SerializeAsString();
  records_->append(std::as_bytes(std::span(bytes)));
}

}  // namespace bit::launcher
