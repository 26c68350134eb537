// bit-model import, export: weights from one format into another.
#include <fmt/format.h>

#include <array>
#include <stdexcept>

#include "launcher/exit_code.h"
#include "launcher/model_commands/commands.h"
#include "launcher/words.h"
#include "trainer/weight_check.h"
#include "trainer/weight_export.h"

namespace bit::launcher {
namespace {

using trainer::WeightFile;
using trainer::WeightFormat;

std::string_view ending_of(WeightFile file) {
  return file == WeightFile::kNpz ? ".npz" : ".safetensors";
}

// What the end of a name says; nullopt when it says nothing.
std::optional<WeightFile> file_named(const std::string& path) {
  for (const WeightFile file : {WeightFile::kNpz, WeightFile::kSafetensors}) {
    if (path.ends_with(ending_of(file))) return file;
  }
  return std::nullopt;
}

WeightFormat format_of(const ExportRequest& request) {
  const auto file = file_named(request.output);
  if (!request.format) {
    if (!file) {
      throw std::invalid_argument("--output " + request.output +
                                  " ends neither in .safetensors nor in .npz: --format says which "
                                  "it is");
    }
    return *file == WeightFile::kNpz ? WeightFormat::kBit : WeightFormat::kTimm;
  }
  if (file && *file != trainer::file_of(*request.format)) {
    throw std::invalid_argument(fmt::format("--output {}: format {} is kept in {} files",
                                            request.output, format_name(*request.format),
                                            ending_of(trainer::file_of(*request.format))));
  }
  return *request.format;
}

void write(const trainer::WeightSource& source, WeightFormat format, const ExportRequest& request) {
  const std::size_t tensors = trainer::export_weights(source, format, request.head, request.output);
  fmt::print("{}: {} of {} ({}, names of {}), names of {}\n", request.output,
             counted(tensors, "tensor"), source.path(), describe_network(source),
             format_name(source.format()), format_name(format));
}

}  // namespace

int export_model(const ExportRequest& request) {
  const WeightFormat format = format_of(request);
  const trainer::WeightSource source(request.path, request.step);
  // What a run of this project trains is its own affair as long as the names are.
  if (!source.is_checkpoint() || format != WeightFormat::kTimm) require_network(source);
  write(source, format, request);
  return kDone;
}

int import_model(const ExportRequest& request) {
  if (file_named(request.output) != WeightFile::kSafetensors) {
    throw std::invalid_argument("--output " + request.output + " does not end in .safetensors");
  }
  const trainer::WeightSource source(request.path);
  require_network(source);
  write(source, WeightFormat::kTimm, request);
  return kDone;
}

}  // namespace bit::launcher
