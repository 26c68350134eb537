#include "trainer/weight_export.h"

#include <map>

#include "storage/file.h"
#include "storage/npz.h"
#include "storage/tfrecord.h"
#include "trainer/weight_check.h"

namespace bit::trainer {
namespace {

// One tensor of the file: its name and shape there, without its bytes.
struct Planned {
  const SourceWeight* weight = nullptr;
  storage::TensorView there;
};

std::vector<Planned> plan(const WeightSource& source, WeightFormat format, bool with_head) {
  std::vector<Planned> planned;
  for (const SourceWeight& weight : source.weights()) {
    if (!with_head && is_head(weight.name)) continue;
    auto name = name_in(format, weight.name);
    // A network of this project may have weights that BiT's does not; timm's names are its own.
    if (!name && format == WeightFormat::kTimm) name = weight.name;
    if (!name) {
      throw storage::DataError(source.path() + ": " + weight.name_there +
                               " has no name in format " + std::string(format_name(format)));
    }
    planned.push_back(
        {&weight, {*name, storage::DType::kF32, shape_in(format, weight.name, weight.shape), {}}});
  }
  return planned;
}

// Reads tensors one after the other into the same memory.
class Reader {
 public:
  Reader(const WeightSource& source, WeightFormat format) : source_(source), format_(format) {}
  std::span<const std::byte> read(const SourceWeight& weight) {
    values_.resize(weight.elements);
    source_.read(weight, values_);
    if (file_of(format_) == WeightFile::kSafetensors) return std::as_bytes(std::span(values_));
    there_.resize(weight.elements);
    from_timm_layout(format_, weight.shape, values_, there_);
    return std::as_bytes(std::span(there_));
  }

 private:
  const WeightSource& source_;
  WeightFormat format_;
  std::vector<float> values_, there_;
};

std::map<std::string, std::string> metadata_of(const WeightSource& source) {
  std::map<std::string, std::string> metadata = {{"format", "pt"}};
  for (const char* key : {"model", "step"}) {
    const auto found = source.metadata().find(key);
    if (found != source.metadata().end()) metadata.insert(*found);
  }
  const auto seen = see_network(source);
  if (seen && !seen->name.empty()) metadata.emplace("model", seen->name);
  return metadata;
}

}  // namespace

WeightFile file_of(WeightFormat format) {
  const bool npz = format == WeightFormat::kBit || format == WeightFormat::kBigVision;
  return npz ? WeightFile::kNpz : WeightFile::kSafetensors;
}

std::size_t export_weights(const WeightSource& source, WeightFormat format, bool with_head,
                           const std::string& output) {
  const auto planned = plan(source, format, with_head);
  Reader reader(source, format);
  storage::write_file_atomically(
      storage::posix_file_system(), output, [&](storage::WritableFile& file) {
        if (file_of(format) == WeightFile::kSafetensors) {
          std::vector<storage::TensorView> tensors;
          for (const Planned& one : planned) tensors.push_back(one.there);
          storage::write_safetensors(file, tensors, metadata_of(source), [&](std::size_t i) {
            return reader.read(*planned[i].weight);
          });
          return;
        }
        storage::NpzWriter writer(file);
        for (const Planned& one : planned) {
          storage::TensorView tensor = one.there;
          tensor.bytes = reader.read(*one.weight);
          writer.add(tensor);
        }
        writer.finish();
      });
  return planned.size();
}

}  // namespace bit::trainer
