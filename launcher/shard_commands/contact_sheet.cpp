#include "launcher/shard_commands/contact_sheet.h"

#include <fmt/format.h>

#include <algorithm>

#include "pipeline/convert/thumbnail.h"
#include "storage/example.h"
#include "storage/tfrecord.h"

namespace bit::launcher {
namespace {

Tile make_tile(const storage::Dataset& dataset, std::uint64_t record,
               pipeline::JpegDecoder& decoder) {
  Tile tile;
  tile.record = record;
  try {
    const auto labels = dataset.labels(record);
    tile.labels.assign(labels.begin(), labels.end());
    const auto data = read_record(dataset, record);
    const auto image = storage::parse_image_example(data);
    tile.key = image.key;
    decoder.open(image.encoded);
    const auto pixels = decoder.decode_full();
    tile.width = pixels.width;
    tile.height = pixels.height;
    tile.jpeg = pipeline::thumbnail(pixels, kTileSide);
  } catch (const storage::DataError& error) {
    tile.problem = error.what();
  }
  return tile;
}

}  // namespace

std::vector<Tile> contact_sheet(const storage::Dataset& dataset, std::uint64_t count) {
  count = std::min(count, dataset.records());
  pipeline::JpegDecoder decoder;
  std::vector<Tile> tiles;
  for (std::uint64_t i = 0; i < count; ++i) {
    // i * records / count without a product that overflows
    const std::uint64_t record =
        i * (dataset.records() / count) + i * (dataset.records() % count) / count;
    tiles.push_back(make_tile(dataset, record, decoder));
  }
  return tiles;
}

std::vector<std::byte> read_record(const storage::Dataset& dataset, std::uint64_t record) {
  const auto location = dataset.location(record);
  const auto& file = dataset.shard_file(location.shard);
  std::vector<std::byte> framed(location.bytes);
  framed.resize(file.read_at(location.offset, framed));
  const auto parsed = storage::parse_record(framed);
  if (parsed.fault) {
    throw storage::DataError(fmt::format("{}: record {} of the split at byte {}: {}", file.path(),
                                         record, location.offset,
                                         storage::describe(*parsed.fault)));
  }
  return {parsed.data.begin(), parsed.data.end()};
}

}  // namespace bit::launcher
