#include "trainer/weight_container.h"

#include <google/protobuf/text_format.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "schemas/config.pb.h"
#include "storage/file.h"
#include "storage/npz.h"
#include "storage/tfrecord.h"

namespace bit::trainer {
namespace {

constexpr std::string_view kModelPrefix = "model/";

// Tensors that lie in memory, or in mapped files.
class ViewedWeights : public WeightContainer {
 public:
  void read(std::size_t index, std::span<std::byte> out) const override {
    const auto bytes = views_[index].bytes;
    if (out.size() != bytes.size()) throw std::invalid_argument("room of another size");
    std::ranges::copy(bytes, out.begin());
  }

 protected:
  void add(const storage::TensorView& view, std::string name) {
    tensors_.push_back({std::move(name), std::string(storage::dtype_name(view.dtype)), view.dtype,
                        view.shape, view.bytes.size()});
    views_.push_back(view);
  }

 private:
  std::vector<storage::TensorView> views_;
};

class SafetensorsWeights final : public ViewedWeights {
 public:
  explicit SafetensorsWeights(const std::string& path) : file_(path) {
    for (const auto& view : file_.tensors()) add(view, view.name);
    metadata_ = file_.metadata();
  }

 private:
  storage::SafetensorsFile file_;
};

class NpzWeights final : public WeightContainer {
 public:
  explicit NpzWeights(const std::string& path) : file_(path) {
    for (const auto& array : file_.arrays()) {
      tensors_.push_back({array.name, array.type, array.dtype, array.shape, array.bytes});
    }
  }
  void read(std::size_t index, std::span<std::byte> out) const override {
    file_.read(file_.arrays()[index], out);
  }

 private:
  storage::NpzFile file_;
};

class CheckpointWeights final : public ViewedWeights {
 public:
  CheckpointWeights(const std::string& path, const schemas::CheckpointManifest& manifest)
      : reader_(path, manifest) {
    for (const auto& [name, view] : reader_.tensors()) {
      if (name.starts_with(kModelPrefix)) add(view, name.substr(kModelPrefix.size()));
    }
    if (tensors_.empty()) throw storage::DataError(path + ": no tensors under \"model/\"");
    metadata_["step"] = std::to_string(manifest.step());
    schemas::RunConfig config;
    if (google::protobuf::TextFormat::ParseFromString(manifest.config(), &config)) {
      metadata_["model"] = config.model().name();
    }
  }

 private:
  storage::CheckpointReader reader_;
};

}  // namespace

std::unique_ptr<WeightContainer> open_weight_file(const std::string& path) {
  std::array<std::byte, 8> bytes{};
  const std::size_t count = storage::posix_file_system().open(path)->read_at(0, bytes);
  const auto begin = std::span<const std::byte>(bytes).first(count);
  if (storage::is_zip(begin)) return std::make_unique<NpzWeights>(path);
  const std::string_view text(reinterpret_cast<const char*>(begin.data()), begin.size());
  if (text.starts_with("\x89HDF\r\n")) {
    throw storage::DataError(path +
                             ": an HDF5 file is not read; the published BiT weights are also there "
                             "as .npz");
  }
  if (text.starts_with("\x93NUMPY")) {
    throw storage::DataError(path + ": a single array of numpy; weights are an .npz file");
  }
  return std::make_unique<SafetensorsWeights>(path);
}

std::unique_ptr<WeightContainer> open_checkpoint_weights(
    const std::string& path, const schemas::CheckpointManifest& manifest) {
  return std::make_unique<CheckpointWeights>(path, manifest);
}

}  // namespace bit::trainer
