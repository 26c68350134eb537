#include "tests/integration/convert_support.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>

#include "storage/dataset.h"
#include "storage/example.h"
#include "storage/file.h"
#include "tests/integration/run_support.h"

namespace bit::test {

namespace fs = std::filesystem;

std::vector<std::string> ConvertCommand::argv() const {
  std::vector<std::string> argv;
  if (ranks > 0) argv = {"mpirun", "-n", std::to_string(ranks)};
  argv.insert(argv.end(), around.begin(), around.end());
  for (const std::string& word :
       {std::string(BIT_BIN_DIRECTORY "/bit-shard"), std::string("convert"), std::string("--input"),
        input, std::string("--output"), output, std::string("--name"), std::string("pictures"),
        std::string("--split"), std::string("train")}) {
    argv.push_back(word);
  }
  argv.insert(argv.end(), more.begin(), more.end());
  return argv;
}

std::unique_ptr<Process> ConvertCommand::start() const {
  auto environment = ranks > 0 ? mpi_environment() : std::map<std::string, std::string>();
  // What killed ranks leave of their shared memory goes with the test's directory.
  fs::path beside = fs::path(output).parent_path();
  while (!fs::is_directory(beside)) beside = beside.parent_path();
  environment["OMPI_MCA_btl_vader_backing_directory"] = beside.string();
  // Shared memory lies in files, which a limit of their size would forbid.
  if (!around.empty()) environment["OMPI_MCA_btl"] = "self,tcp";
  environment["OMPI_MCA_orte_tmpdir_base"] = beside.string();
  return std::make_unique<Process>(argv(), environment);
}

ProcessResult ConvertCommand::go() const { return start()->wait(); }

void ConvertCommand::kill_all(Process& process) const {
  process.signal_group(SIGKILL);
  // mpirun puts its ranks into groups of their own.
  if (ranks > 0) kill_all_with(output);
}

std::map<std::string, std::string> published(const std::string& directory) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    const std::string name = fs::relative(entry.path(), directory).string();
    if (name == ".lock") continue;
    files[name] = entry.is_directory() ? "a folder" : file_bytes(entry.path().string());
  }
  return files;
}

std::map<std::string, FoundRecord> records_in(const std::string& directory,
                                              const std::string& split) {
  const auto dataset = storage::Dataset::open(directory, split);
  std::map<std::string, FoundRecord> found;
  for (std::uint64_t i = 0; i < dataset.records(); ++i) {
    const auto place = dataset.location(i);
    std::vector<std::byte> framed(place.bytes);
    EXPECT_EQ(dataset.shard_file(place.shard).read_at(place.offset, framed), place.bytes);
    const auto parsed = storage::parse_record(framed);
    EXPECT_FALSE(parsed.fault) << "record " << i;
    const auto example = storage::parse_image_example(parsed.data);
    const auto indexed = dataset.labels(i);
    EXPECT_EQ(std::vector(indexed.begin(), indexed.end()), example.labels) << example.key;
    FoundRecord record{{}, example.width, example.height, {}};
    for (const std::int32_t label : example.labels) {
      const auto& names = dataset.class_names();
      record.labels.push_back(names.empty() ? std::to_string(label)
                                            : names.at(static_cast<std::size_t>(label)));
    }
    record.image.assign(example.encoded.begin(), example.encoded.end());
    EXPECT_TRUE(found.emplace(example.key, std::move(record)).second) << example.key << " again";
  }
  return found;
}

void write_file(const std::string& path, std::string_view bytes) {
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!file) throw std::runtime_error("cannot write " + path);
}

void write_file(const std::string& path, std::span<const std::byte> bytes) {
  write_file(path, std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

}  // namespace bit::test
