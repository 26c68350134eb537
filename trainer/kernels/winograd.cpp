#include "trainer/kernels/winograd.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <array>
#include <cstdint>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "trainer/kernels/winograd.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "trainer/kernels/vector_io.h"

// What all targets share: once, as this file is included for each of them.
#ifndef BIT_TRAINER_KERNELS_WINOGRAD_SHARED_
#define BIT_TRAINER_KERNELS_WINOGRAD_SHARED_
namespace bit::trainer::kernels {

constexpr std::size_t kTile = 4;            // output pixels a side
constexpr std::size_t kWindow = kTile + 2;  // input pixels that they read, and points
constexpr std::int64_t kPoints = kWindow * kWindow;

// An image of a channels-last batch, and one of its tiles.
struct TileOfImage {
  std::int64_t height, width, channels;
  std::int64_t row, column;  // of the tile's first output pixel
};

}  // namespace bit::trainer::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace bit::trainer::kernels::HWY_NAMESPACE {

// The points of evaluation, with weights that turn Lagrange's denominators into the kernel's side:
// 1 / (a^2 b^2), 1 / (2 a^2 (a^2 - b^2)), 1 / (2 b^2 (b^2 - a^2)).
constexpr float kA = 1.41421356237309505F, kA2 = 2, kA3 = 2.82842712474619010F;
constexpr float kB = 0.70710678118654752F, kB2 = 0.5, kB3 = 0.35355339059327376F;
constexpr float kWeightA = 1.0F / 6, kWeightB = -2.0F / 3;

inline Vector times(float factor, Vector x) { return hn::Mul(hn::Set(Floats(), factor), x); }
inline Vector add_times(Vector sum, float factor, Vector x) {
  return hn::MulAdd(hn::Set(Floats(), factor), x, sum);
}

// One axis of each of the linear maps.
struct InputToPoints {
  static std::array<Vector, 6> map(const std::array<Vector, 6>& d) {
    const Vector even_a = add_times(d[4], -kB2, d[2]), odd_a = add_times(d[3], -kB2, d[1]);
    const Vector even_b = add_times(d[4], -kA2, d[2]), odd_b = add_times(d[3], -kA2, d[1]);
    return {hn::Add(add_times(d[4], -kA2 - kB2, d[2]), d[0]),
            add_times(even_a, kA, odd_a),
            add_times(even_a, -kA, odd_a),
            add_times(even_b, kB, odd_b),
            add_times(even_b, -kB, odd_b),
            hn::Add(add_times(d[5], -kA2 - kB2, d[3]), d[1])};
  }
};

struct PointsToOutput {
  static std::array<Vector, 4> map(const std::array<Vector, 6>& m) {
    const Vector sum_a = hn::Add(m[1], m[2]), difference_a = hn::Sub(m[1], m[2]);
    const Vector sum_b = hn::Add(m[3], m[4]), difference_b = hn::Sub(m[3], m[4]);
    return {hn::Add(hn::Add(m[0], sum_a), sum_b),
            add_times(times(kA, difference_a), kB, difference_b),
            add_times(times(kA2, sum_a), kB2, sum_b),
            add_times(add_times(m[5], kA3, difference_a), kB3, difference_b)};
  }
};

// The transpose of PointsToOutput.
struct GradientToPoints {
  static std::array<Vector, 6> map(const std::array<Vector, 4>& y) {
    const Vector even_a = add_times(y[0], kA2, y[2]), odd_a = add_times(y[1], kA2, y[3]);
    const Vector even_b = add_times(y[0], kB2, y[2]), odd_b = add_times(y[1], kB2, y[3]);
    return {y[0],
            add_times(even_a, kA, odd_a),
            add_times(even_a, -kA, odd_a),
            add_times(even_b, kB, odd_b),
            add_times(even_b, -kB, odd_b),
            y[3]};
  }
};

struct KernelToPoints {
  static std::array<Vector, 6> map(const std::array<Vector, 3>& g) {
    const Vector even_a = times(kWeightA, add_times(g[0], kA2, g[2]));
    const Vector even_b = times(kWeightB, add_times(g[0], kB2, g[2]));
    return {g[0],
            add_times(even_a, kWeightA * kA, g[1]),
            add_times(even_a, -kWeightA * kA, g[1]),
            add_times(even_b, kWeightB * kB, g[1]),
            add_times(even_b, -kWeightB * kB, g[1]),
            g[2]};
  }
};

// The transpose of KernelToPoints.
struct PointsToKernel {
  static std::array<Vector, 3> map(const std::array<Vector, 6>& u) {
    const Vector sum_a = hn::Add(u[1], u[2]), difference_a = hn::Sub(u[1], u[2]);
    const Vector sum_b = hn::Add(u[3], u[4]), difference_b = hn::Sub(u[3], u[4]);
    return {hn::Add(u[0], add_times(times(kWeightA, sum_a), kWeightB, sum_b)),
            add_times(times(kWeightA * kA, difference_a), kWeightB * kB, difference_b),
            hn::Add(u[5], add_times(times(kWeightA * kA2, sum_a), kWeightB * kB2, sum_b))};
  }
};

// Both axes of a map from kFrom x kFrom values, read(row, column), to kTo x kTo, taken by
// write(row, column, value).
template <typename Map, std::size_t kFrom, std::size_t kTo, typename Read, typename Write>
inline void on_both_axes(Read read, Write write) {
  std::array<std::array<Vector, kTo>, kFrom> columns;
  for (std::size_t column = 0; column < kFrom; ++column) {
    std::array<Vector, kFrom> in;
    for (std::size_t row = 0; row < kFrom; ++row) in[row] = read(row, column);
    columns[column] = Map::map(in);
  }
  for (std::size_t row = 0; row < kTo; ++row) {
    std::array<Vector, kFrom> in;
    for (std::size_t column = 0; column < kFrom; ++column) in[column] = columns[column][row];
    const std::array<Vector, kTo> out = Map::map(in);
    for (std::size_t column = 0; column < kTo; ++column) write(row, column, out[column]);
  }
}

// [36 planes, ..., channels] at one tile, and back.
inline auto from_points(const float* points, std::int64_t plane) {
  return [=](std::size_t row, std::size_t column) {
    return load(Floats(), points + static_cast<std::int64_t>(row * kWindow + column) * plane);
  };
}
inline auto to_points(float* points, std::int64_t plane) {
  return [=](std::size_t row, std::size_t column, Vector value) {
    store(Floats(), value, points + static_cast<std::int64_t>(row * kWindow + column) * plane);
  };
}

// kSize x kSize pixels from (row, column) on, zeros outside the image, to the points.
template <typename Map, std::size_t kSize>
void window_to_points(const float* image, const TileOfImage& tile, std::int64_t row,
                      std::int64_t column, float* points, std::int64_t plane) {
  const auto size = static_cast<std::int64_t>(kSize);
  const bool inside =
      row >= 0 && column >= 0 && row + size <= tile.height && column + size <= tile.width;
  const float* first = image + (row * tile.width + column) * tile.channels;
  const auto pixel = [&](std::size_t r, std::size_t c) {
    return first + (static_cast<std::int64_t>(r) * tile.width + static_cast<std::int64_t>(c)) *
                       tile.channels;
  };
  const auto is_there = [&](std::size_t r, std::size_t c) {
    const std::int64_t y = row + static_cast<std::int64_t>(r);
    const std::int64_t x = column + static_cast<std::int64_t>(c);
    return y >= 0 && y < tile.height && x >= 0 && x < tile.width;
  };
  const Floats d;
  for (std::int64_t c = 0; c < tile.channels; c += static_cast<std::int64_t>(hn::Lanes(d))) {
    if (inside) {
      on_both_axes<Map, kSize, kWindow>(
          [&](std::size_t y, std::size_t x) { return load(d, pixel(y, x) + c); },
          to_points(points + c, plane));
    } else {
      on_both_axes<Map, kSize, kWindow>(
          [&](std::size_t y, std::size_t x) {
            return is_there(y, x) ? load(d, pixel(y, x) + c) : hn::Zero(d);
          },
          to_points(points + c, plane));
    }
  }
}

void tile_to_points(const float* image, const TileOfImage& tile, float* points,
                    std::int64_t plane) {
  window_to_points<InputToPoints, kWindow>(image, tile, tile.row - 1, tile.column - 1, points,
                                           plane);
}

void gradient_to_points(const float* image, const TileOfImage& tile, float* points,
                        std::int64_t plane) {
  window_to_points<GradientToPoints, kTile>(image, tile, tile.row, tile.column, points, plane);
}

void points_to_tile(const float* points, std::int64_t plane, const TileOfImage& tile,
                    float* image) {
  const std::int64_t rows = std::min<std::int64_t>(kTile, tile.height - tile.row);
  const std::int64_t columns = std::min<std::int64_t>(kTile, tile.width - tile.column);
  float* first = image + (tile.row * tile.width + tile.column) * tile.channels;
  const Floats d;
  for (std::int64_t c = 0; c < tile.channels; c += static_cast<std::int64_t>(hn::Lanes(d))) {
    on_both_axes<PointsToOutput, kWindow, kTile>(
        from_points(points + c, plane), [&](std::size_t r, std::size_t x, Vector value) {
          const auto row = static_cast<std::int64_t>(r), column = static_cast<std::int64_t>(x);
          if (row >= rows || column >= columns) return;
          store(d, value, first + (row * tile.width + column) * tile.channels + c);
        });
  }
}

// One output channel: kernel [3, 3, inputs] to [36 planes, ..., inputs]; `reversed` turns the taps
// around, as the gradient of the input needs them.
void kernel_row_to_points(const float* kernel, std::int64_t inputs, bool reversed, float* points,
                          std::int64_t plane) {
  const Floats d;
  for (std::int64_t c = 0; c < inputs; c += static_cast<std::int64_t>(hn::Lanes(d))) {
    on_both_axes<KernelToPoints, 3, kWindow>(
        [&](std::size_t row, std::size_t column) {
          const auto tap = static_cast<std::int64_t>(row * 3 + column);
          return load(d, kernel + (reversed ? 8 - tap : tap) * inputs + c);
        },
        to_points(points + c, plane));
  }
}

void points_to_kernel_row(const float* points, std::int64_t plane, std::int64_t inputs,
                          float* kernel) {
  const Floats d;
  for (std::int64_t c = 0; c < inputs; c += static_cast<std::int64_t>(hn::Lanes(d))) {
    on_both_axes<PointsToKernel, kWindow, 3>(
        from_points(points + c, plane), [&](std::size_t row, std::size_t column, Vector value) {
          store(d, value, kernel + static_cast<std::int64_t>(row * 3 + column) * inputs + c);
        });
  }
}

}  // namespace bit::trainer::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bit::trainer::kernels {

HWY_EXPORT(tile_to_points);
HWY_EXPORT(gradient_to_points);
HWY_EXPORT(points_to_tile);
HWY_EXPORT(kernel_row_to_points);
HWY_EXPORT(points_to_kernel_row);

namespace {

constexpr auto kChannelsLast = at::MemoryFormat::ChannelsLast;
constexpr std::int64_t kChunkBytes = std::int64_t{8}
                                     << 20;  // of points at once: stays in the cache

// [36, rows, columns] whose planes are a cache line more apart than their size: powers of two would
// put the 36 values of a tile into the same few lines of the cache.
at::Tensor planes(std::int64_t rows, std::int64_t columns) {
  const std::int64_t plane = rows * columns + 16;
  return at::empty({kPoints * plane}, at::kFloat)
      .as_strided({kPoints, rows, columns}, {plane, columns, 1});
}

// All tiles of a batch, numbered image by image, row by row.
class Tiles {
 public:
  explicit Tiles(const at::Tensor& images)
      : height_(images.size(2)),
        width_(images.size(3)),
        rows_((height_ + kSide - 1) / kSide),
        columns_((width_ + kSide - 1) / kSide),
        count_(images.size(0) * rows_ * columns_) {}

  std::int64_t count() const { return count_; }
  // What a chunk holds when the widest of its planes have so many channels.
  std::int64_t chunk(std::int64_t channels) const {
    const auto bytes = static_cast<std::int64_t>(sizeof(float)) * kPoints * channels;
    return std::clamp<std::int64_t>(kChunkBytes / bytes, 1, count_);
  }
  TileOfImage at(std::int64_t tile, std::int64_t channels) const {
    const std::int64_t in_image = tile % (rows_ * columns_);
    return {height_, width_, channels, in_image / columns_ * kSide, in_image % columns_ * kSide};
  }
  std::int64_t offset_of_image(std::int64_t tile, std::int64_t channels) const {
    return tile / (rows_ * columns_) * height_ * width_ * channels;
  }

 private:
  static constexpr auto kSide = static_cast<std::int64_t>(kTile);
  std::int64_t height_, width_, rows_, columns_, count_;
};

// Calls work(tile, its place in the chunk) for a chunk's tiles, on all threads.
template <typename Work>
void for_each_tile(std::int64_t first, std::int64_t count, Work work) {
  at::parallel_for(0, count, 4, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) work(first + i, i);
  });
}

// The products of the 36 planes, to = a * b or to += a * b. A plane is one thread's: the library's
// own threads would have too little to share.
void multiply_planes(const at::Tensor& a, const at::Tensor& b, const at::Tensor& to, bool add) {
  at::parallel_for(0, kPoints, 1, [&](std::int64_t begin, std::int64_t end) {
    const at::NoGradGuard no_grad;
    for (std::int64_t p = begin; p < end; ++p) {
      at::Tensor result = to.select(0, p);
      at::addmm_out(result, result, a.select(0, p), b.select(0, p), /*beta=*/add ? 1 : 0);
    }
  });
}

using TileToPoints = void (*)(const float*, const TileOfImage&, float*, std::int64_t);

void images_to_points(TileToPoints transform, const Tiles& tiles, const at::Tensor& images,
                      std::int64_t first, const at::Tensor& points) {
  const std::int64_t channels = images.size(1);
  const float* from = images.const_data_ptr<float>();
  float* to = points.mutable_data_ptr<float>();
  for_each_tile(first, points.size(1), [&](std::int64_t tile, std::int64_t i) {
    transform(from + tiles.offset_of_image(tile, channels), tiles.at(tile, channels),
              to + i * channels, points.stride(0));
  });
}

at::Tensor kernel_points(const at::Tensor& kernel, bool reversed) {
  const std::int64_t outputs = kernel.size(0), inputs = kernel.size(1);
  at::Tensor points = planes(outputs, inputs);
  const float* from = kernel.const_data_ptr<float>();
  float* to = points.mutable_data_ptr<float>();
  const auto transform = HWY_DYNAMIC_DISPATCH(kernel_row_to_points);
  at::parallel_for(0, outputs, 8, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t o = begin; o < end; ++o) {
      transform(from + o * 9 * inputs, inputs, reversed, to + o * inputs, points.stride(0));
    }
  });
  return points;
}

// factors: [36, channels of x, channels of the result].
at::Tensor filter(const at::Tensor& x, const at::Tensor& factors) {
  const std::int64_t channels = factors.size(2);
  at::Tensor y = at::empty({x.size(0), channels, x.size(2), x.size(3)}, x.options(), kChannelsLast);
  float* to = y.mutable_data_ptr<float>();
  const Tiles tiles(x);
  const std::int64_t chunk = tiles.chunk(std::max(x.size(1), channels));
  const at::Tensor input = planes(chunk, x.size(1)), output = planes(chunk, channels);
  const auto transform = HWY_DYNAMIC_DISPATCH(points_to_tile);
  for (std::int64_t first = 0; first < tiles.count(); first += chunk) {
    const std::int64_t count = std::min(chunk, tiles.count() - first);
    const at::Tensor in = input.narrow(1, 0, count);
    const at::Tensor out = output.narrow(1, 0, count);
    images_to_points(HWY_DYNAMIC_DISPATCH(tile_to_points), tiles, x, first, in);
    multiply_planes(in, factors, out, /*add=*/false);
    const float* points = out.const_data_ptr<float>();
    for_each_tile(first, count, [&](std::int64_t tile, std::int64_t i) {
      transform(points + i * channels, out.stride(0), tiles.at(tile, channels),
                to + tiles.offset_of_image(tile, channels));
    });
  }
  return y;
}

}  // namespace

at::Tensor winograd(const at::Tensor& x, const at::Tensor& kernel) {
  return filter(x, kernel_points(kernel, /*reversed=*/false).transpose(1, 2));
}

at::Tensor winograd_dx(const at::Tensor& dy, const at::Tensor& kernel) {
  return filter(dy, kernel_points(kernel, /*reversed=*/true));
}

at::Tensor winograd_dkernel(const at::Tensor& x, const at::Tensor& dy) {
  const std::int64_t inputs = x.size(1), outputs = dy.size(1);
  const Tiles tiles(x);
  const std::int64_t chunk = tiles.chunk(std::max(inputs, outputs));
  const at::Tensor input = planes(chunk, inputs), gradient = planes(chunk, outputs);
  const at::Tensor sum = planes(outputs, inputs);
  for (std::int64_t first = 0; first < tiles.count(); first += chunk) {
    const std::int64_t count = std::min(chunk, tiles.count() - first);
    const at::Tensor in = input.narrow(1, 0, count), out = gradient.narrow(1, 0, count);
    images_to_points(HWY_DYNAMIC_DISPATCH(tile_to_points), tiles, x, first, in);
    images_to_points(HWY_DYNAMIC_DISPATCH(gradient_to_points), tiles, dy, first, out);
    multiply_planes(out.transpose(1, 2), in, sum, /*add=*/first > 0);
  }
  at::Tensor dkernel = at::empty({outputs, inputs, 3, 3}, x.options(), kChannelsLast);
  const float* from = sum.const_data_ptr<float>();
  float* to = dkernel.mutable_data_ptr<float>();
  const auto transform = HWY_DYNAMIC_DISPATCH(points_to_kernel_row);
  at::parallel_for(0, outputs, 8, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t o = begin; o < end; ++o) {
      transform(from + o * inputs, sum.stride(0), inputs, to + o * 9 * inputs);
    }
  });
  return dkernel;
}

}  // namespace bit::trainer::kernels
#endif  // HWY_ONCE
