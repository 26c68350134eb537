// Plans the taps and runs the rows through the ring; the arithmetic is in resize_simd.cpp.
#include "pipeline/resize.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <stdexcept>

namespace bit::pipeline {
namespace {

std::uint8_t round_weighted(std::int64_t sum) {
  return static_cast<std::uint8_t>(
      std::min<std::int64_t>((sum + kWeightOne / 2) >> kWeightBits, 255));
}

// Of a weight >= 0, as Pillow rounds it; std::lround would be a call.
std::int32_t fixed_point(double weight) {
  const double above = weight * kWeightOne + 0.5;
  return static_cast<std::int32_t>(above);
}

// Two weights as the halves that the vector code multiplies by.
std::int32_t pack(std::int32_t first, std::int32_t second) { return first | (second << 16); }
std::int32_t high_half(std::int32_t weight) { return weight >> kLowBits; }
std::int32_t low_half(std::int32_t weight) { return weight & ((1 << kLowBits) - 1); }

std::size_t round_up(std::size_t bytes, std::size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

void grow(std::vector<std::uint8_t>& buffer, std::size_t bytes) {
  if (buffer.size() < bytes) buffer.resize(bytes);
}

void check_axis(std::uint32_t input, std::uint32_t resized, std::uint32_t offset,
                std::uint32_t samples) {
  if (input == 0 || samples == 0 || offset > resized || samples > resized - offset) {
    throw std::invalid_argument("the output square is not inside the resized crop");
  }
}

// The crop in the pixels of the image that is as much smaller as the plan says.
struct Shrunken {
  CropBox box;  // all pixels that are part of it
  AxisTaps::Part columns, rows;

  explicit Shrunken(const ImagePlan& plan) {
    const CropBox& crop = plan.crop;
    columns = part(crop.x, crop.width, plan.shrink, box.x);
    rows = part(crop.y, crop.height, plan.shrink, box.y);
    box.width = columns.input;
    box.height = rows.input;
  }

 private:
  static AxisTaps::Part part(std::uint32_t start, std::uint32_t length, std::uint32_t shrink,
                             std::uint32_t& first) {
    first = start / shrink;
    const std::uint32_t end = (start + length + shrink - 1) / shrink;
    return {static_cast<double>(start % shrink) / shrink, static_cast<double>(length) / shrink,
            end - first};
  }
};

}  // namespace

void AxisTaps::compute(ResizeFilter filter, const Part& part, std::uint32_t resized,
                       std::uint32_t offset, std::uint32_t samples) {
  check_axis(part.input, resized, offset, samples);
  const double scale = part.length / resized;
  first.resize(samples);
  count.resize(samples);
  if (filter == ResizeFilter::kBilinear) {
    bilinear(part, scale, offset);
  } else {
    triangle(part, scale, offset);
  }
}

void AxisTaps::triangle(const Part& part, double scale, std::uint32_t offset) {
  const std::uint32_t input = part.input;
  const double support = std::max(scale, 1.0);  // in input samples
  const double inverse = 1.0 / support;
  // All samples look at as many taps, those of weight zero included: branches that depend on the
  // sample would cost more than the arithmetic.
  const std::uint32_t most =
      std::min(input, static_cast<std::uint32_t>(std::ceil(2 * support)) + 1);
  stride = most;
  weights.resize(first.size() * most);
  scratch_.resize(most);
  double* const share = scratch_.data();
  for (std::uint32_t sample = 0; sample < first.size(); ++sample) {
    const double centre = part.start + (offset + sample + 0.5) * scale;
    const auto low = static_cast<std::uint32_t>(std::max(centre - support + 0.5, 0.0));
    const std::uint32_t taps = std::min(most, input - low);
    double sum = 0;
    for (std::uint32_t i = 0; i < taps; ++i) {  // written as Pillow writes it, to round alike
      const double distance = std::abs((low + i - centre + 0.5) * inverse);
      share[i] = std::max(1.0 - distance, 0.0);
      sum += share[i];
    }
    std::int32_t* const weight = &weights[std::size_t{sample} * most];
    // Taps of weight zero at the ends would only ask for more of the image.
    std::uint32_t begin_tap = 0, end_tap = 1;
    for (std::uint32_t i = 0; i < taps; ++i) {
      weight[i] = fixed_point(share[i] / sum);
      end_tap = weight[i] != 0 ? i + 1 : end_tap;
    }
    while (begin_tap + 1 < end_tap && weight[begin_tap] == 0) ++begin_tap;
    if (begin_tap > 0) std::copy(weight + begin_tap, weight + end_tap, weight);
    first[sample] = low + begin_tap;
    count[sample] = end_tap - begin_tap;
  }
}

// As TensorFlow's ResizeBilinear with half_pixel_centers
// (core/kernels/image/resize_bilinear_op.cc).
void AxisTaps::bilinear(const Part& part, double scale, std::uint32_t offset) {
  stride = 2;
  weights.resize(first.size() * stride);
  for (std::uint32_t sample = 0; sample < first.size(); ++sample) {
    const double place =
        std::clamp(part.start + (offset + sample + 0.5) * scale - 0.5, 0.0, part.input - 1.0);
    const auto low = static_cast<std::uint32_t>(place);
    const auto second = fixed_point(place - low);
    std::int32_t* weight = &weights[std::size_t{sample} * stride];
    first[sample] = second < kWeightOne ? low : low + 1;
    count[sample] = second > 0 && second < kWeightOne ? 2 : 1;
    weight[0] = count[sample] == 2 ? kWeightOne - second : kWeightOne;
    weight[1] = count[sample] == 2 ? second : 0;
  }
}

void RowResizer::begin(const ImagePlan& plan, std::uint32_t width, std::uint32_t height,
                       std::span<std::uint8_t> out, RowLayout layout) {
  if (out.size() < std::size_t{width} * height * 3) {
    throw std::invalid_argument("the output is smaller than its pixels");
  }
  const Shrunken part(plan);
  columns_.compute(plan.filter, part.columns, plan.resized_width, plan.offset_x, width);
  rows_.compute(plan.filter, part.rows, plan.resized_height, plan.offset_y, height);
  width_ = width;
  height_ = height;
  pushed_ = filled_ = next_ = 0;
  out_ = out;
  source_ = part.box;
  plan_columns(plan.flip, layout);
  plan_rows();
}

void RowResizer::plan_columns(bool flip, RowLayout layout) {
  const std::uint32_t left = columns_.first.front();
  std::uint32_t right = 0, most = 0;
  for (std::uint32_t i = 0; i < width_; ++i) {
    right = std::max(right, columns_.first[i] + columns_.count[i]);
    most = std::max(most, columns_.count[i]);
  }
  source_.x += left;
  source_.width = right - left;

  RowFilter& filter = row_filter_;
  filter.pixels = static_cast<std::uint32_t>(round_up(width_, kBlockPixels));
  filter.pairs = (most + 1) / 2;
  filter.first.assign(filter.pixels, 0);
  filter.weights.assign(std::size_t{filter.pixels} * filter.pairs * 2, 0);
  for (std::uint32_t pixel = 0; pixel < width_; ++pixel) {
    const std::uint32_t sample = flip ? width_ - 1 - pixel : pixel;
    filter.first[pixel] = columns_.first[sample] - left;
    const std::int32_t* weight = &columns_.weights[std::size_t{sample} * columns_.stride];
    std::int32_t* pair = &filter.weights[std::size_t{pixel} * filter.pairs * 2];
    for (std::uint32_t i = 0; i < columns_.count[sample]; i += 2, pair += 2) {
      const std::int32_t second = i + 1 < columns_.count[sample] ? weight[i + 1] : 0;
      pair[0] = pack(high_half(weight[i]), high_half(second));
      pair[1] = pack(low_half(weight[i]), low_half(second));
    }
  }
  const bool planar = layout == RowLayout::kPlanar;
  plane_bytes_ = planar ? round_up(source_.width, kPlaneUnit) : 0;
  group_stride_ = planar ? 3 * plane_bytes_ : round_up(std::size_t{source_.width} * 3, 16);
  filter.pixel_step = planar ? 1 : 3;
  filter.channel_step = planar ? plane_bytes_ : 1;
  // The padding of the last pixel's taps reaches past the row's end.
  const std::size_t reach =
      (source_.width + filter.pairs * 2) * filter.pixel_step + 2 * filter.channel_step;
  grow(group_, group_stride_ * kGroupRows);
  grow(group_columns_, std::max(group_stride_, reach) * kGroupRows);
}

void RowResizer::plan_rows() {
  const std::uint32_t top = rows_.first.front();
  kept_.clear();
  std::uint32_t most = 0;
  for (std::uint32_t i = 0; i < height_; ++i) {
    const std::uint32_t first = rows_.first[i] - top, end = first + rows_.count[i];
    // kBilinear leaves rows out where it shrinks.
    const std::uint32_t known = kept_.empty() ? 0 : kept_.back() + 1;
    for (std::uint32_t row = std::max(first, known); row < end; ++row) kept_.push_back(row);
    rows_.first[i] = static_cast<std::uint32_t>(kept_.size()) - (kept_.back() + 1 - first);
    most = std::max(most, rows_.count[i]);
  }
  source_.y += top;
  source_.height = kept_.back() + 1;
  // All that an output row needs, and the rest of the group that its last row comes in.
  ring_rows_ = std::bit_ceil(most + static_cast<std::uint32_t>(kGroupRows) - 1);
  ring_stride_ = round_up(std::size_t{row_filter_.pixels} * 3, kVectorBytes);
  grow(ring_, ring_rows_ * ring_stride_);
}

std::uint8_t* RowResizer::row() {
  if (filled_ == kept_.size() || kept_[filled_] != pushed_) return nullptr;
  return &group_[filled_ % kGroupRows * group_stride_];
}

void RowResizer::push_row() {
  if (row() != nullptr) {
    ++filled_;
    if (filled_ % kGroupRows == 0 || filled_ == kept_.size()) filter_group();
  }
  ++pushed_;
}

void RowResizer::push_row(const std::uint8_t* from) {
  std::uint8_t* const to = row();
  if (to != nullptr) std::memcpy(to, from, std::size_t{source_.width} * 3);
  push_row();
}

void RowResizer::push_image(const std::uint8_t* image, std::uint32_t width) {
  for (std::uint32_t y = 0; y < source_.height; ++y) {
    push_row(image + (std::size_t{source_.y + y} * width + source_.x) * 3);
  }
}

void RowResizer::filter_group() {
  const std::size_t begin = (filled_ - 1) / kGroupRows * kGroupRows;
  filter_rows(row_filter_, {group_.data(), group_stride_, group_columns_.data()},
              &ring_[(begin & (ring_rows_ - 1)) * ring_stride_], ring_stride_);
  while (next_ < height_ && rows_.first[next_] + rows_.count[next_] <= filled_) emit_row();
}

void RowResizer::emit_row() {
  const std::uint32_t first = rows_.first[next_], count = rows_.count[next_];
  const std::int32_t* weight = &rows_.weights[std::size_t{next_} * rows_.stride];
  pairs_.clear();
  for (std::uint32_t i = 0; i < count; i += 2) {
    const bool paired = i + 1 < count;
    const std::int32_t second = paired ? weight[i + 1] : 0;
    const std::uint8_t* row = &ring_[((first + i) & (ring_rows_ - 1)) * ring_stride_];
    const std::uint8_t* below =
        paired ? &ring_[((first + i + 1) & (ring_rows_ - 1)) * ring_stride_] : row;
    pairs_.push_back({row, below, pack(high_half(weight[i]), high_half(second)),
                      pack(low_half(weight[i]), low_half(second))});
  }
  const std::size_t bytes = std::size_t{width_} * 3;
  blend_rows(pairs_, bytes, &out_[next_ * bytes]);
  ++next_;
}

void resize_reference(const std::uint8_t* image, std::uint32_t width, const ImagePlan& plan,
                      std::uint32_t size, std::span<std::uint8_t> out) {
  AxisTaps columns, rows;
  const Shrunken part(plan);
  columns.compute(plan.filter, part.columns, plan.resized_width, plan.offset_x, size);
  rows.compute(plan.filter, part.rows, plan.resized_height, plan.offset_y, size);
  std::vector<std::uint8_t> narrow(std::size_t{part.box.height} * size * 3);  // columns done
  for (std::size_t y = 0; y < part.box.height; ++y) {
    for (std::size_t x = 0; x < size; ++x) {
      const std::uint8_t* pixel =
          image + ((part.box.y + y) * width + part.box.x + columns.first[x]) * 3;
      for (std::size_t channel = 0; channel < 3; ++channel) {
        std::int64_t sum = 0;
        for (std::size_t i = 0; i < columns.count[x]; ++i) {
          sum += std::int64_t{columns.weights[x * columns.stride + i]} * pixel[i * 3 + channel];
        }
        const std::size_t column = plan.flip ? size - 1 - x : x;
        narrow[(y * size + column) * 3 + channel] = round_weighted(sum);
      }
    }
  }
  const std::size_t row_bytes = std::size_t{size} * 3;
  for (std::size_t y = 0; y < size; ++y) {
    for (std::size_t byte = 0; byte < row_bytes; ++byte) {
      std::int64_t sum = 0;
      for (std::size_t i = 0; i < rows.count[y]; ++i) {
        sum += std::int64_t{rows.weights[y * rows.stride + i]} *
               narrow[(rows.first[y] + i) * row_bytes + byte];
      }
      out[y * row_bytes + byte] = round_weighted(sum);
    }
  }
}

}  // namespace bit::pipeline
