#include "trainer/resume_check.h"

#include <fmt/format.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include <array>
#include <map>
#include <string_view>
#include <utility>

#include "schemas/config.pb.h"

namespace bit::trainer {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::TextFormat;

std::string_view name_of(KernelInitialization initialization) {
  switch (initialization) {
    case KernelInitialization::kHeNormal:
      return "he-normal";
    case KernelInitialization::kGlorotUniform:
      return "glorot-uniform";
    case KernelInitialization::kLecunNormal:
      return "lecun-normal";
  }
  return "";
}

// Settings that say what the weights mean. A checkpoint of other values is not this run's.
std::map<std::string, std::string> meaning_of(const TrainSettings& settings,
                                              const std::string& dataset_hash) {
  return {{"model.name", settings.model_name},
          {"classes", std::to_string(settings.model.classes)},
          {"model.loss", settings.loss == LossKind::kSoftmax ? "softmax" : "sigmoid"},
          {"model.initialization", std::string(name_of(settings.model.initialization))},
          {"model.head_initialization",
           settings.model.head_initialization == HeadInitialization::kZeros ? "zeros" : "normal"},
          {"optimizer.decay", settings.decoupled_decay ? "decoupled" : "coupled"},
          {"optimizer.decay_on", settings.model.decay_everything ? "all" : "kernels"},
          {"optimizer.clip_norm", fmt::format("{}", settings.clip_norm)},
          {"seed", std::to_string(settings.seed)},
          {"batch", std::to_string(settings.order.batch)},
          {"data.block", std::to_string(settings.order.block)},
          {"data.lanes", std::to_string(settings.order.lanes)},
          {"data.window", std::to_string(settings.order.window)},
          {"dataset hash", dataset_hash}};
}

// What a checkpoint was written with. Versions that had no choice did not note what they did.
std::string noted_meaning(const schemas::CheckpointManifest& manifest, const std::string& name) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kBeforeThereWasAChoice = {
      {{"model.initialization", "he-normal"},
       {"model.head_initialization", "zeros"},
       {"optimizer.decay", "coupled"},
       {"optimizer.decay_on", "kernels"},
       {"optimizer.clip_norm", "0"}}};
  const auto found = manifest.state().find("run/" + name);
  if (found != manifest.state().end()) return found->second;
  for (const auto& [setting, value] : kBeforeThereWasAChoice) {
    if (setting == name) return std::string(value);
  }
  return "(unknown)";
}

std::string value_text(const Message& message, const FieldDescriptor& field) {
  const auto& reflection = *message.GetReflection();
  const auto text = [&](int index) {
    std::string value;
    TextFormat::PrintFieldValueToString(message, &field, index, &value);
    return value;
  };
  if (!field.is_repeated()) return text(-1);
  std::vector<std::string> values;
  for (int i = 0; i < reflection.FieldSize(message, &field); ++i) values.push_back(text(i));
  return fmt::format("[{}]", fmt::join(values, ", "));
}

void add_changes(const Message& before, const Message& after, const std::string& prefix,
                 std::vector<std::string>& changes) {
  const auto& type = *before.GetDescriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    const std::string key = prefix + field.name();
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      add_changes(before.GetReflection()->GetMessage(before, &field),
                  after.GetReflection()->GetMessage(after, &field), key + ".", changes);
      continue;
    }
    const std::string was = value_text(before, field);
    const std::string is = value_text(after, field);
    if (was != is) changes.push_back(fmt::format("{}: {} → {}", key, was, is));
  }
}

class SilentErrors final : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int /*line*/, int /*column*/, const std::string& /*message*/) override {}
};

schemas::RunConfig parse(const std::string& text) {
  SilentErrors silent;
  TextFormat::Parser parser;
  parser.AllowUnknownField(true);
  parser.RecordErrorsTo(&silent);
  schemas::RunConfig config;
  parser.ParseFromString(text, &config);  // of another version: what can be read is compared
  return config;
}

}  // namespace

void record_meaning(schemas::CheckpointManifest& manifest, const TrainSettings& settings,
                    const std::string& dataset_hash) {
  for (const auto& [name, value] : meaning_of(settings, dataset_hash))
    (*manifest.mutable_state())["run/" + name] = value;
}

void require_resumable(const schemas::CheckpointManifest& manifest, const std::string& path,
                       const TrainSettings& settings, const std::string& dataset_hash) {
  std::string differences;
  std::vector<std::string> names;
  for (const auto& [name, value] : meaning_of(settings, dataset_hash)) {
    const std::string was = noted_meaning(manifest, name);
    if (was == value) continue;
    differences += fmt::format("  {}: the checkpoint has {}, this run {}\n", name, was, value);
    names.push_back(name);
  }
  if (!differences.empty()) {
    throw ResumeMismatch(differences + "Name another output:, or go back to those settings.\n" +
                         fmt::format("{} belongs to a run whose weights mean something else: {}",
                                     path, fmt::join(names, ", ")));
  }
  if (manifest.step() > settings.schedule.total_steps) {
    throw ResumeMismatch(fmt::format(
        "Name another output:, a longer schedule.length, or move the newer checkpoints away.\n"
        "{} is at step {}, beyond the end of this run: schedule.length is {} steps",
        path, manifest.step(), settings.schedule.total_steps));
  }
}

std::vector<std::string> changed_settings(const std::string& before, const std::string& after) {
  std::vector<std::string> changes;
  add_changes(parse(before), parse(after), "", changes);
  return changes;
}

}  // namespace bit::trainer
