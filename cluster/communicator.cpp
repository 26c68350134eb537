// The blocking forms of the collectives, written once over the virtual start_* functions.
#include "cluster/communicator.h"

#include <algorithm>

namespace bit::cluster {
namespace {

// Sizes travel as i64 in native byte order: all ranks run the same binary.
std::span<std::byte> bytes_of(std::int64_t& value) {
  return std::as_writable_bytes(std::span(&value, 1));
}

std::span<std::byte> bytes_of(std::string& text) {
  return std::as_writable_bytes(std::span(text.data(), text.size()));
}

}  // namespace

void Communicator::all_reduce(std::span<float> values, ReduceOp op) {
  start_all_reduce(values.data(), values.size(), ReduceType::kF32, op)->wait();
}

void Communicator::all_reduce(std::span<double> values, ReduceOp op) {
  start_all_reduce(values.data(), values.size(), ReduceType::kF64, op)->wait();
}

void Communicator::all_reduce(std::span<std::int64_t> values, ReduceOp op) {
  start_all_reduce(values.data(), values.size(), ReduceType::kI64, op)->wait();
}

void Communicator::broadcast(std::span<std::byte> data, int root) {
  start_broadcast(data, root)->wait();
}

std::string Communicator::broadcast(const std::string& text, int root) {
  auto size = static_cast<std::int64_t>(text.size());
  broadcast(bytes_of(size), root);
  std::string received = rank() == root ? text : std::string(static_cast<std::size_t>(size), '\0');
  broadcast(bytes_of(received), root);
  return received;
}

std::vector<std::string> Communicator::all_gather(const std::string& text) {
  const auto ranks = static_cast<std::size_t>(size());
  auto length = static_cast<std::int64_t>(text.size());
  std::vector<std::int64_t> lengths(ranks);
  start_all_gather(bytes_of(length), std::as_writable_bytes(std::span(lengths)))->wait();

  // Every text is padded to the longest.
  const auto longest = static_cast<std::size_t>(*std::max_element(lengths.begin(), lengths.end()));
  std::string padded = text;
  padded.resize(longest);
  std::string all(longest * ranks, '\0');
  start_all_gather(bytes_of(padded), bytes_of(all))->wait();

  std::vector<std::string> texts;
  texts.reserve(ranks);
  for (std::size_t r = 0; r < ranks; ++r) {
    texts.push_back(all.substr(r * longest, static_cast<std::size_t>(lengths[r])));
  }
  return texts;
}

void Communicator::barrier() { start_barrier()->wait(); }

}  // namespace bit::cluster
