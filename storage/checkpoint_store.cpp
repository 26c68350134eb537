// clang-format off
// Names in the directory, and what a kill leaves of each (docs/checkpoints.md):
//   step-<n>               published
//   tmp-step-<n>-<nonce>   being written: of no value
//   replaced-step-<n>      set aside while step-<n> is published again; counts as it when that is missing
//   trash-step-<n>         being removed
//   corrupt-step-<n>[-<k>] quarantined, for people to look at
// clang-format on
#include "storage/checkpoint_store.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <set>
#include <stdexcept>
#include <thread>
#include <utility>

#include "storage/checkpoint_manifest.h"
#include "storage/crc32c.h"
#include "storage/tfrecord.h"

namespace bit::storage {
namespace {

constexpr const char* kManifestFile = "MANIFEST";
constexpr const char* kReasonFile = "REASON";
constexpr std::string_view kPublished = "step-";
constexpr std::string_view kReplaced = "replaced-step-";
constexpr std::string_view kTemporary = "tmp-step-";
constexpr std::string_view kTrash = "trash-step-";
constexpr std::string_view kCorrupt = "corrupt-step-";
constexpr std::size_t kReadBytes = std::size_t{1} << 20;

std::string name_of(std::string_view prefix, std::uint64_t step) {
  char digits[24] = {};
  std::snprintf(digits, sizeof digits, "%012llu", static_cast<unsigned long long>(step));
  return std::string(prefix) + digits;
}

// The step when `name` is exactly `prefix` and a step as name_of() writes it.
std::optional<std::uint64_t> step_of(std::string_view prefix, std::string_view name) {
  if (!name.starts_with(prefix)) return std::nullopt;
  std::uint64_t step = 0;
  std::from_chars(name.data() + prefix.size(), name.data() + name.size(), step);
  if (name != name_of(prefix, step)) return std::nullopt;
  return step;
}

// Errors that say the checkpoint is damaged. Others (permission, too many open files, a lost
// network) say nothing about it.
bool is_damage(const StorageError& error) {
  const std::error_code& code = error.code();
  return code == std::errc::no_such_file_or_directory || code == std::errc::not_a_directory ||
         code == std::errc::is_a_directory || code == std::errc::io_error;
}

void write_and_sync(FileSystem& files, const std::string& path, const std::string& text) {
  const auto file = files.create(path);
  file->append(std::as_bytes(std::span(text)));
  file->sync();
  file->close();
}

// Why the file is not the part that the manifest describes; empty when it is.
std::string damage_of_part(FileSystem& files, const std::string& path,
                           const schemas::CheckpointManifest::Part& part) {
  try {
    const auto file = files.open(path);
    if (file->size() != part.bytes()) {
      return path + ": " + std::to_string(file->size()) + " bytes instead of " +
             std::to_string(part.bytes());
    }
    std::vector<std::byte> buffer(kReadBytes);
    std::uint32_t crc = 0;
    for (std::uint64_t offset = 0; offset < part.bytes();) {
      const std::size_t read = file->read_at(offset, buffer);
      if (read == 0) return path + ": ends at byte " + std::to_string(offset);
      crc = crc32c(std::span(buffer).first(read), crc);
      offset += read;
    }
    return crc == part.crc32c() ? "" : path + ": its bytes do not match their checksum";
  } catch (const StorageError& error) {
    if (!is_damage(error)) throw;
    return error.what();
  }
}

// The first damage in the order of the parts; empty when all are good. Rethrows what kept a part
// from being read.
std::string damage_of_parts(FileSystem& files, const std::string& directory,
                            const schemas::CheckpointManifest& manifest, unsigned threads) {
  const auto count = static_cast<std::size_t>(manifest.parts_size());
  std::vector<std::string> damage(count);
  std::vector<std::exception_ptr> errors(count);
  std::atomic<std::size_t> next = 0;
  const auto work = [&] {
    for (std::size_t i = next++; i < count; i = next++) {
      try {
        const auto& part = manifest.parts(static_cast<int>(i));
        damage[i] = damage_of_part(files, directory + "/" + part.file(), part);
      } catch (...) {
        errors[i] = std::current_exception();
      }
    }
  };
  {
    std::vector<std::jthread> workers;
    const auto helpers = std::min<std::size_t>(std::max(threads, 1u), count) - 1;
    for (std::size_t i = 0; i < helpers; ++i) workers.emplace_back(work);
    work();
  }
  for (const auto& error : errors) {
    if (error != nullptr) std::rethrow_exception(error);
  }
  const auto first = std::find_if(damage.begin(), damage.end(), [](auto& d) { return !d.empty(); });
  return first == damage.end() ? "" : *first;
}

}  // namespace

CheckpointStore::CheckpointStore(FileSystem& files, std::string directory)
    : files_(files), directory_(std::move(directory)) {
  // The names of new directories are made durable up to the first one that was there before.
  std::vector<std::filesystem::path> parents;
  for (std::filesystem::path at = directory_; !at.empty() && !files_.exists(at.string());) {
    at = at.has_filename() ? at.parent_path() : at.parent_path().parent_path();
    parents.push_back(at.empty() ? "." : at);
  }
  if (parents.empty()) return;
  files_.make_directories(directory_);
  for (const auto& parent : parents) files_.sync_directory(parent.string());
}

std::string CheckpointStore::path(std::uint64_t step) const {
  const std::string published = path_of(name_of(kPublished, step));
  const std::string replaced = path_of(name_of(kReplaced, step));
  return !files_.exists(published) && files_.exists(replaced) ? replaced : published;
}

std::string CheckpointStore::path_of(const std::string& name) const {
  return directory_ + "/" + name;
}

std::string CheckpointStore::temporary_path(std::uint64_t step, const std::string& nonce) const {
  if (nonce.empty() || nonce.find('/') != std::string::npos) {
    throw std::invalid_argument("'" + nonce + "' cannot be part of a directory name");
  }
  return path_of(name_of(kTemporary, step) + "-" + nonce);
}

std::string CheckpointStore::begin(std::uint64_t step, const std::string& nonce) {
  const std::string temporary = temporary_path(step, nonce);
  discard(temporary);
  files_.make_directories(temporary);
  return temporary;
}

schemas::CheckpointManifest::Part CheckpointStore::write_part(const std::string& temporary,
                                                              std::uint32_t part,
                                                              std::uint32_t parts,
                                                              std::span<const TensorView> tensors) {
  if (part >= parts) {
    throw std::invalid_argument("there is no part " + std::to_string(part) + " of " +
                                std::to_string(parts));
  }
  char name[64] = {};
  std::snprintf(name, sizeof name, "part-%05u-of-%05u.safetensors", part, parts);
  const WrittenSafetensors written = write_safetensors(files_, temporary + "/" + name, tensors);

  schemas::CheckpointManifest::Part entry;
  entry.set_file(name);
  entry.set_bytes(written.bytes);
  entry.set_crc32c(written.crc32c);
  for (const WrittenTensor& from : written.tensors) {
    auto& tensor = *entry.add_tensors();
    tensor.set_name(from.name);
    tensor.set_dtype(std::string(dtype_name(from.dtype)));
    for (const std::int64_t extent : from.shape) {
      tensor.add_shape(static_cast<std::uint64_t>(extent));
    }
    tensor.set_offset(from.offset);
    tensor.set_bytes(from.bytes);
    tensor.set_crc32c(from.crc32c);
  }
  return entry;
}

void CheckpointStore::publish(const std::string& temporary,
                              const schemas::CheckpointManifest& manifest) {
  const std::string published = path_of(name_of(kPublished, manifest.step()));
  const std::string replaced = path_of(name_of(kReplaced, manifest.step()));
  const std::string text = print_manifest(manifest);
  parse_manifest(text);  // never publish what could not be read back
  try {
    write_and_sync(files_, temporary + "/" + kManifestFile, text);
    files_.sync_directory(temporary);
    if (files_.exists(published)) {
      discard(replaced);  // of an earlier attempt; step-<n> is complete
      files_.rename(published, replaced);
      files_.sync_directory(directory_);
    }
    files_.rename(temporary, published);
  } catch (...) {
    undo_publish(temporary, published, replaced);
    throw;
  }
  files_.sync_directory(directory_);
  discard(replaced);
}

void CheckpointStore::undo_publish(const std::string& temporary, const std::string& published,
                                   const std::string& replaced) {
  try {
    if (!files_.exists(published) && files_.exists(replaced)) files_.rename(replaced, published);
    discard(temporary);
  } catch (const StorageError&) {
    // What is left behind is harmless, and the first error is the one to report.
  }
}

void CheckpointStore::discard(const std::string& temporary) {
  if (files_.exists(temporary)) files_.remove_tree(temporary);
}

std::vector<std::uint64_t> CheckpointStore::steps() const {
  std::set<std::uint64_t> steps;
  for (const DirectoryEntry& entry : files_.list(directory_)) {
    if (!entry.is_directory) continue;
    if (const auto step = step_of(kPublished, entry.name)) steps.insert(*step);
    if (const auto step = step_of(kReplaced, entry.name)) steps.insert(*step);
  }
  return {steps.begin(), steps.end()};
}

std::optional<schemas::CheckpointManifest> CheckpointStore::validate(std::uint64_t step,
                                                                     Problem* problem,
                                                                     unsigned threads) const {
  const std::string directory = path(step);
  const std::string manifest_path = directory + "/" + kManifestFile;
  std::string reason;
  try {
    auto manifest = parse_manifest(read_file(files_, manifest_path));
    if (manifest.step() != step) {
      throw DataError("it is of step " + std::to_string(manifest.step()));
    }
    reason = damage_of_parts(files_, directory, manifest, threads);
    if (reason.empty()) return manifest;
  } catch (const DataError& error) {
    reason = manifest_path + ": " + error.what();
  } catch (const StorageError& error) {
    if (!is_damage(error)) throw;
    reason = error.what();
  }
  if (problem != nullptr) *problem = {step, reason};
  return std::nullopt;
}

void CheckpointStore::quarantine(const Problem& problem) {
  const std::string name = name_of(kCorrupt, problem.step);
  std::string target = path_of(name);
  for (int k = 2; files_.exists(target); ++k) target = path_of(name + "-" + std::to_string(k));
  files_.rename(path(problem.step), target);
  files_.sync_directory(directory_);
  write_and_sync(files_, target + "/" + kReasonFile, problem.reason + "\n");
  files_.sync_directory(target);
}

void CheckpointStore::prune(std::uint32_t keep) {
  if (keep == 0) throw std::invalid_argument("at least one checkpoint has to be kept");
  const auto all = steps();
  if (all.size() <= keep) return;
  for (const std::uint64_t step : std::span(all).first(all.size() - keep)) {
    const std::string trash = path_of(name_of(kTrash, step));
    // The copy that was set aside goes first: it must not come back as step-<n>.
    for (const std::string_view prefix : {kReplaced, kPublished}) {
      const std::string from = path_of(name_of(prefix, step));
      if (!files_.exists(from)) continue;
      discard(trash);
      files_.rename(from, trash);
      files_.sync_directory(directory_);
      files_.remove_tree(trash);
    }
  }
}

void CheckpointStore::remove_leftovers() {
  for (const DirectoryEntry& entry : files_.list(directory_)) {
    if (!entry.is_directory) continue;
    const std::string path = path_of(entry.name);
    if (entry.name.starts_with(kTemporary) || entry.name.starts_with(kTrash)) {
      files_.remove_tree(path);
    } else if (const auto step = step_of(kReplaced, entry.name)) {
      const std::string published = path_of(name_of(kPublished, *step));
      if (files_.exists(published)) {
        files_.remove_tree(path);
      } else {
        files_.rename(path, published);
      }
    }
  }
  files_.sync_directory(directory_);
}

CheckpointReader::CheckpointReader(const std::string& path,
                                   const schemas::CheckpointManifest& manifest)
    : path_(path) {
  for (const auto& part : manifest.parts()) {
    const std::string file = path + "/" + part.file();
    const SafetensorsFile& opened = files_.emplace_back(file);
    for (const TensorView& tensor : opened.tensors()) {
      if (!tensors_.emplace(tensor.name, tensor).second) {
        throw DataError(file + ": tensor '" + tensor.name + "' is in another part as well");
      }
    }
    for (const auto& expected : part.tensors()) {
      const TensorView* found = opened.find(expected.name());
      if (found == nullptr || found->bytes.size() != expected.bytes()) {
        throw DataError(file + ": tensor '" + expected.name() +
                        "' is not there as the manifest describes it");
      }
    }
  }
}

const TensorView& CheckpointReader::tensor(const std::string& name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) throw DataError(path_ + ": no tensor '" + name + "'");
  return found->second;
}

}  // namespace bit::storage
