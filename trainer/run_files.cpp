#include "trainer/run_files.h"

#include <fmt/format.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <sstream>
#include <system_error>

#include "storage/file.h"
#include "storage/tfrecord.h"

namespace bit::trainer {
namespace {

using nlohmann::json;

// Lines of a JSON-lines file that parse; a last line cut by a kill is left out.
std::vector<json> read_lines(const std::string& path) {
  std::vector<json> lines;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    json value = json::parse(line, nullptr, false);
    if (!value.is_discarded()) lines.push_back(std::move(value));
  }
  return lines;
}

std::ofstream open_for_append(const std::string& path) {
  std::ofstream file(path, std::ios::app);
  if (!file)
    throw storage::StorageError(std::error_code(errno, std::generic_category()), "open", path);
  return file;
}

void write_line(std::ofstream& file, const std::string& path, const std::string& line) {
  file << line << '\n' << std::flush;
  if (!file)
    throw storage::StorageError(std::error_code(errno, std::generic_category()), "write", path);
}

}  // namespace

std::string lines_up_to(const std::string& text, std::uint64_t step) {
  std::string kept;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const json object = json::parse(line, nullptr, false);
    if (!object.is_object()) continue;
    const auto found = object.find("step");
    if (found == object.end() || !found->is_number_unsigned()) continue;
    if (found->get<std::uint64_t>() <= step) kept += line + "\n";
  }
  return kept;
}

OrderLog::OrderLog(const std::string& path, std::uint64_t first_step,
                   cluster::Communicator& communicator)
    : path_(path), communicator_(communicator) {
  if (communicator_.rank() != 0) return;
  auto& files = storage::posix_file_system();
  if (files.exists(path)) {
    const std::string before = storage::read_file(files, path);
    const std::string kept = lines_up_to(before, first_step);
    if (kept != before) storage::write_file_atomically(files, path, kept);
  }
  file_ = open_for_append(path);
}

void OrderLog::write(std::uint64_t step, const pipeline::Batch& batch) {
  std::string mine;
  for (const std::uint64_t record : batch.records)
    mine += (mine.empty() ? "" : ",") + std::to_string(record);
  const auto parts = communicator_.all_gather(mine);
  if (communicator_.rank() != 0) return;
  write_line(file_, path_,
             fmt::format("{{\"step\":{},\"epoch\":{},\"records\":[{}]}}", step, batch.epoch,
                         fmt::join(parts, ",")));
}

BadRecordLog::BadRecordLog(const std::string& path, std::uint64_t budget,
                           cluster::Communicator& communicator)
    : path_(path), budget_(budget), communicator_(communicator) {
  if (communicator_.rank() != 0) return;
  for (const json& line : read_lines(path_)) seen_.insert(line.at("record").get<std::uint64_t>());
}

void BadRecordLog::add(std::uint64_t step, std::span<const pipeline::BadRecord> records) {
  json mine = json::array();
  for (const auto& bad : records) {
    json line = {{"step", step},         {"record", bad.record}, {"file", bad.file},
                 {"offset", bad.offset}, {"key", bad.key},       {"reason", bad.reason}};
    if (bad.replacement != pipeline::kPadding) line["replacement"] = bad.replacement;
    mine.push_back(std::move(line));
  }
  // A key is bytes of a damaged record: anything that is not UTF-8 is replaced.
  const auto parts =
      communicator_.all_gather(mine.dump(-1, ' ', false, json::error_handler_t::replace));
  std::string verdict;
  if (communicator_.rank() == 0) {
    std::ofstream file = open_for_append(path_);
    for (const auto& part : parts) {
      for (const json& line : json::parse(part)) {
        if (!seen_.insert(line.at("record").get<std::uint64_t>()).second) continue;
        write_line(file, path_, line.dump());
        if (seen_.size() > budget_) {
          verdict = fmt::format(
              "more than data.bad_record_budget = {} records are unusable; the last is record {} "
              "in {} at byte {}: {} "
              "(all are in {})",
              budget_, line.at("record").get<std::uint64_t>(), line.at("file").get<std::string>(),
              line.at("offset").get<std::uint64_t>(), line.at("reason").get<std::string>(), path_);
        }
      }
    }
  }
  verdict = communicator_.broadcast(verdict, 0);
  if (!verdict.empty()) throw storage::DataError(verdict);
}

}  // namespace bit::trainer
