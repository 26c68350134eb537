#include "pipeline/jpeg/strip_decoder.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>

#include "pipeline/jpeg/color_simd.h"
#include "pipeline/jpeg/idct_simd.h"
#include "pipeline/jpeg/scan_bytes_simd.h"

namespace bit::pipeline {
namespace {

constexpr std::size_t kLeftSlack = 64;  // bytes before a row of samples; keeps rows aligned
constexpr std::size_t kAlignment = 64 / sizeof(std::int16_t);

std::uint32_t ceil_div(std::uint32_t a, std::uint32_t b) { return (a + b - 1) / b; }

template <typename T>
void grow(std::vector<T>& memory, std::size_t size) {
  if (memory.size() < size) memory.resize(size);
}

template <typename Decoder, typename... Kind>
bool assign(const std::optional<HuffmanTable>& table, Decoder& decoder, HuffmanTable& made_of,
            bool& known, Kind... kind) {
  if (known && *table == made_of) return true;  // tables are often the standard's
  known = decoder.assign(*table, kind...);
  made_of = *table;
  return known;
}

}  // namespace

bool StripDecoder::open(std::span<const std::byte> jpeg) {
  if (!read_jpeg_header(jpeg, header_) || jpeg.size() > std::numeric_limits<std::uint32_t>::max()) {
    return false;
  }
  if (!prepare_components() || !prepare_codes()) return false;
  scan_.coded = {reinterpret_cast<const std::uint8_t*>(jpeg.data()) + header_.size,
                 jpeg.size() - header_.size};
  scan_.columns = ceil_div(header_.width, 8 * components_[0].horizontal);
  scan_.mcus = std::uint64_t{scan_.columns} * ceil_div(header_.height, 8 * components_[0].vertical);
  scan_.interval = header_.restart_interval;
  if (scan_.interval == 0 || scan_.interval > scan_.mcus) {
    scan_.interval = static_cast<std::uint32_t>(scan_.mcus);
  }
  scan_.starts.clear();
  return true;
}

bool StripDecoder::prepare_components() {
  const auto& components = header_.components;
  const JpegColors colors = jpeg_colors(header_);
  if (colors != JpegColors::kGrey && colors != JpegColors::kYcc && colors != JpegColors::kRgb) {
    return false;
  }
  const bool single = components.size() == 1;  // coded block by block, whatever its factors
  const std::uint32_t across = single ? 1 : components[0].horizontal;
  const std::uint32_t down = single ? 1 : components[0].vertical;
  if (across > 2 || down > 2) return false;
  for (std::size_t c = 0; c < components.size(); ++c) {
    if (c > 0 && (components[c].horizontal != 1 || components[c].vertical != 1)) return false;
    Component& component = components_[c];
    component.horizontal = c == 0 ? across : 1;
    component.vertical = c == 0 ? down : 1;
    const auto& table = *header_.quantization[components[c].quantization];
    for (std::size_t i = 0; i < 64; ++i) component.quantization[kZigzag[i]] = table[i];
  }
  return prepare_scale(1);
}

bool StripDecoder::prepare_codes() {
  scan_.block_count = 0;
  for (std::size_t c = 0; c < header_.components.size(); ++c) {
    const std::size_t dc = header_.components[c].dc, ac = header_.components[c].ac;
    if (!assign(header_.dc[dc], dc_[dc], dc_tables_[dc], dc_known_[dc],
                HuffmanDecoder::Kind::kDc) ||
        !assign(header_.ac[ac], ac_[ac], ac_tables_[ac], ac_known_[ac])) {
      return false;
    }
    const Component& component = components_[c];
    for (std::uint32_t y = 0; y < component.vertical; ++y) {
      for (std::uint32_t x = 0; x < component.horizontal; ++x) {
        scan_.blocks[scan_.block_count++] = {&dc_[dc], &ac_[ac], static_cast<std::uint32_t>(c),
                                             component.horizontal, x};
      }
    }
  }
  return true;
}

// Components keep the size of their blocks, or half of it, when they have fewer than the image
// anyway (jdmaster.c, jpeg_calc_output_dimensions). False for an image so narrow that libjpeg-turbo
// upsamples it in another way.
bool StripDecoder::prepare_scale(std::uint32_t scale) {
  const std::uint32_t across = components_[0].horizontal, down = components_[0].vertical;
  const std::uint32_t size = 8 / scale;
  mcu_width_ = size * across;
  mcu_height_ = size * down;
  width_ = ceil_div(header_.width, scale);
  height_ = ceil_div(header_.height, scale);
  for (std::size_t c = 0; c < header_.components.size(); ++c) {
    Component& component = components_[c];
    component.size = size;
    while (component.size < 8 && mcu_width_ % (2 * component.mcu_width()) == 0 &&
           mcu_height_ % (2 * component.mcu_height()) == 0) {
      component.size *= 2;
    }
    component.width = ceil_div(header_.width * component.mcu_width(), 8 * across);
    component.height = ceil_div(header_.height * component.mcu_height(), 8 * down);
    if (component.mcu_width() < mcu_width_ && component.width <= 2) return false;
  }
  return true;
}

// Where chroma is halved, upsampling looks at the neighbours of the crop.
bool StripDecoder::begin(const CropBox& box, std::uint32_t scale) {
  if (!prepare_scale(scale)) return false;
  box_ = box;
  y_ = box.y;
  const Component& last_component = components_[header_.components.size() - 1];
  const std::uint32_t side = last_component.mcu_width() < mcu_width_ ? 1 : 0;
  const std::uint32_t above = last_component.mcu_height() < mcu_height_ ? 1 : 0;
  left_ = (box.x - std::min(box.x, side)) / mcu_width_;
  const std::uint32_t right = std::min<std::uint32_t>(box.x + box.width - 1 + side, width_ - 1);
  columns_ = right / mcu_width_ + 1 - left_;
  next_mcu_row_ = (box.y - std::min(box.y, above)) / mcu_height_;
  const std::uint32_t bottom = std::min<std::uint32_t>(box.y + box.height - 1 + above, height_ - 1);
  end_mcu_row_ = bottom / mcu_height_ + 1;
  for (ScanStream& stream : streams_) stream.positioned = false;
  const std::uint64_t last = std::uint64_t{end_mcu_row_ - 1} * scan_.columns + left_ + columns_ - 1;
  const std::uint64_t intervals = last / scan_.interval + 2;  // one more, for the last one's end
  if (scan_.interval == scan_.mcus) {
    scan_.starts.assign(1, 0);
  } else if (scan_.starts.size() < intervals) {
    find_restarts(scan_.coded, intervals, scan_.starts);
  }
  prepare_strip();
  return true;
}

void StripDecoder::prepare_strip() {
  row_coefficients_ = 0;
  const std::size_t pixels = std::size_t{columns_} * mcu_width_;
  for (std::size_t c = 0; c < header_.components.size(); ++c) {
    Component& component = components_[c];
    component.tiles = ceil_div(columns_ * component.horizontal, kTileBlocks);
    component.stride = kLeftSlack + component.tiles * kTileRow + kRowSlack;
    grow(component.samples, kRingRows * component.mcu_height() * component.stride + kRowSlack);
    row_coefficients_ += component.vertical * component.tiles * kTileCoefficients;
    grow(upsampled_[c], pixels + 2 * kRowSlack);
  }
  grow(tiles_, kGroup * row_coefficients_ + kAlignment);
  grow(sums_, pixels + kRowSlack);
}

bool StripDecoder::decode_group() {
  // Rows are apart when an interval is not longer than they are.
  const std::size_t rows = scan_.interval <= scan_.columns
                               ? std::min<std::size_t>(kGroup, end_mcu_row_ - next_mcu_row_)
                               : 1;
  void* memory = tiles_.data();
  std::size_t room = tiles_.size() * sizeof(std::int16_t);
  auto* const tiles = static_cast<std::int16_t*>(
      std::align(64, rows * row_coefficients_ * sizeof(std::int16_t), memory, room));
  std::array<McuRow, kGroup> group;
  for (std::size_t i = 0; i < rows; ++i) {
    McuRow& row = group[i];
    row.first = (next_mcu_row_ + i) * std::uint64_t{scan_.columns} + left_;
    row.count = columns_;
    std::int16_t* next = tiles + i * row_coefficients_;
    std::size_t block = 0;
    for (std::size_t c = 0; c < header_.components.size(); ++c) {
      const Component& component = components_[c];
      for (std::uint32_t y = 0; y < component.vertical; ++y) {
        for (std::uint32_t x = 0; x < component.horizontal; ++x) row.tiles[block++] = next;
        next += component.tiles * kTileCoefficients;
      }
    }
  }
  bool good = decode_mcu_rows(scan_, std::span(group).first(rows), streams_);
  for (std::size_t i = 0; i < rows && good; ++i) {
    good = transform(tiles + i * row_coefficients_, next_mcu_row_++);
  }
  if (!good) std::fill_n(tiles, rows * row_coefficients_, std::int16_t{0});
  return good;
}

bool StripDecoder::transform(std::int16_t* tiles, std::uint32_t mcu_row) {
  for (std::size_t c = 0; c < header_.components.size(); ++c) {
    Component& component = components_[c];
    for (std::uint32_t y = 0; y < component.vertical; ++y) {
      std::uint8_t* out = samples(component, (mcu_row * component.vertical + y) * component.size);
      if (!inverse_dct(tiles, component.tiles, component.quantization.data(), component.size, out,
                       component.stride)) {
        return false;
      }
      tiles += component.tiles * kTileCoefficients;
    }
    if (component.mcu_width() < mcu_width_) extend_edges(component, mcu_row);
  }
  return true;
}

// Gives the first and the last sample of the image's rows a neighbour: itself.
void StripDecoder::extend_edges(Component& component, std::uint32_t mcu_row) {
  const std::uint32_t first = left_ * component.mcu_width();
  const bool ends_here = first + columns_ * component.mcu_width() >= component.width;
  for (std::uint32_t y = 0; y < component.mcu_height(); ++y) {
    std::uint8_t* row = samples(component, mcu_row * component.mcu_height() + y);
    if (left_ == 0) row[-1] = row[0];
    if (ends_here) row[component.width - first] = row[component.width - first - 1];
  }
}

std::uint8_t* StripDecoder::samples(Component& component, std::uint32_t row) {
  const std::size_t kept = row % (kRingRows * component.mcu_height());
  return component.samples.data() + kept * component.stride + kLeftSlack;
}

const std::uint8_t* StripDecoder::whole_row(std::size_t index, std::uint32_t y) {
  Component& component = components_[index];
  const bool half_width = component.mcu_width() < mcu_width_;
  const bool half_height = component.mcu_height() < mcu_height_;
  if (!half_width && !half_height) return samples(component, y);
  const std::size_t count = std::size_t{columns_} * component.mcu_width();
  std::uint8_t* const out = upsampled_[index].data();
  if (!half_height) {
    upsample_horizontally(samples(component, y) - 1, count, out);
    return out;
  }
  const std::uint32_t row = y / 2;
  const std::uint8_t* near = samples(component, row);
  const std::uint32_t other =
      y % 2 == 0 ? row - std::min(row, 1U) : std::min(row + 1, component.height - 1);
  const std::uint8_t* far = samples(component, other);
  if (!half_width) {
    upsample_vertically(near, far, count, y % 2 == 0 ? 1 : 2, out);
  } else {
    sum_rows(near - 1, far - 1, count + 2, sums_.data());
    upsample_sums(sums_.data(), count, out);
  }
  return out;
}

// The last row of MCUs that has samples for the image's row y.
std::uint32_t StripDecoder::last_mcu_row_of(std::uint32_t y) const {
  const Component& last = components_[header_.components.size() - 1];
  if (last.mcu_height() == mcu_height_) return y / mcu_height_;
  return std::min(y + 1, height_ - 1) / mcu_height_;
}

bool StripDecoder::next_row(std::uint8_t* planes, std::size_t plane_bytes) {
  const std::uint32_t y = y_++;
  while (next_mcu_row_ <= last_mcu_row_of(y)) {
    if (!decode_group()) return false;
  }
  if (planes == nullptr) return true;
  const RgbPlanes out{planes, planes + plane_bytes, planes + 2 * plane_bytes};
  const std::size_t skipped = box_.x - std::size_t{left_} * mcu_width_;
  const bool grey = header_.components.size() == 1;
  const std::uint8_t* first = whole_row(0, y) + skipped;
  const std::uint8_t* second = grey ? first : whole_row(1, y) + skipped;
  const std::uint8_t* third = grey ? first : whole_row(2, y) + skipped;
  if (grey || jpeg_colors(header_) == JpegColors::kRgb) {
    std::memcpy(out.red, first, box_.width);
    std::memcpy(out.green, second, box_.width);
    std::memcpy(out.blue, third, box_.width);
  } else {
    ycc_to_rgb(first, second, third, box_.width, out);
  }
  return true;
}

const std::uint8_t* StripDecoder::next_row() {
  const std::size_t plane = (box_.width + kColorUnit - 1) / kColorUnit * kColorUnit;
  grow(planes_, 3 * plane);
  grow(rgb_, 3 * plane);
  std::uint8_t* const planes = planes_.data();
  if (!next_row(planes, plane)) return nullptr;
  interleave_rgb({planes, planes + plane, planes + 2 * plane}, box_.width, rgb_.data());
  return rgb_.data();
}

}  // namespace bit::pipeline
