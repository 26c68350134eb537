// Through libjpeg, whose errors end the test program: it is asked for nothing that may fail.
#include "tests/support/jpeg_writer.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <stdexcept>
// After cstdio, which it needs.
#include <jpeglib.h>

namespace bit::test {
namespace {

[[noreturn]] void on_error(j_common_ptr info) {
  info->err->output_message(info);
  std::abort();
}

// What jpeg_mem_dest() allocated, which it frees.
std::vector<std::byte> owned(unsigned char* buffer, std::size_t bytes) {
  const std::unique_ptr<unsigned char, decltype(&std::free)> owner(buffer, &std::free);
  const auto* begin = reinterpret_cast<const std::byte*>(buffer);
  return {begin, begin + bytes};
}

}  // namespace

std::vector<std::byte> write_jpeg(std::span<const std::uint8_t> pixels, std::uint32_t width,
                                  std::uint32_t height, const JpegOptions& options) {
  const std::size_t row_bytes = std::size_t{width} * options.components;
  if (pixels.size() != row_bytes * height) throw std::invalid_argument("pixels of another size");
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  info.err = jpeg_std_error(&errors);
  errors.error_exit = on_error;
  jpeg_create_compress(&info);
  unsigned char* buffer = nullptr;
  unsigned long bytes = 0;
  jpeg_mem_dest(&info, &buffer, &bytes);
  info.image_width = width;
  info.image_height = height;
  info.input_components = options.components;
  info.in_color_space = options.components == 1   ? JCS_GRAYSCALE
                        : options.components == 3 ? JCS_RGB
                                                  : JCS_CMYK;
  jpeg_set_defaults(&info);
  if (options.ycck) jpeg_set_colorspace(&info, JCS_YCCK);
  if (options.rgb) jpeg_set_colorspace(&info, JCS_RGB);
  jpeg_set_quality(&info, options.quality, TRUE);
  for (int i = 0; i < info.num_components; ++i) {
    const bool full = i == 0 || i == 3;  // luma, black
    info.comp_info[i].h_samp_factor = full ? options.horizontal : 1;
    info.comp_info[i].v_samp_factor = full ? options.vertical : 1;
  }
  info.restart_interval = options.restart_interval;
  info.optimize_coding = options.optimized;
  info.arith_code = options.arithmetic;
  if (options.components == 4) info.write_Adobe_marker = options.adobe_marker;
  if (options.progressive) jpeg_simple_progression(&info);
  jpeg_start_compress(&info, TRUE);
  while (info.next_scanline < height) {
    JSAMPROW row[1] = {const_cast<JSAMPROW>(pixels.data() + info.next_scanline * row_bytes)};
    jpeg_write_scanlines(&info, row, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  return owned(buffer, bytes);
}

std::vector<std::byte> write_coefficients(std::span<const std::int16_t> coefficients,
                                          std::uint32_t columns, std::uint32_t rows,
                                          std::span<const std::uint8_t, 64> quantization) {
  if (coefficients.size() != std::size_t{64} * columns * rows) {
    throw std::invalid_argument("coefficients of another size");
  }
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  info.err = jpeg_std_error(&errors);
  errors.error_exit = on_error;
  jpeg_create_compress(&info);
  unsigned char* buffer = nullptr;
  unsigned long bytes = 0;
  jpeg_mem_dest(&info, &buffer, &bytes);
  info.image_width = 8 * columns;
  info.image_height = 8 * rows;
  info.input_components = 1;
  info.in_color_space = JCS_GRAYSCALE;
  jpeg_set_defaults(&info);
  std::array<unsigned, 64> table;
  std::copy(quantization.begin(), quantization.end(), table.begin());
  jpeg_add_quant_table(&info, 0, table.data(), 100, TRUE);
  auto* common = reinterpret_cast<j_common_ptr>(&info);
  jvirt_barray_ptr blocks =
      info.mem->request_virt_barray(common, JPOOL_IMAGE, FALSE, columns, rows, 1);
  jpeg_write_coefficients(&info, &blocks);
  for (std::uint32_t row = 0; row < rows; ++row) {
    const JBLOCKARRAY line = info.mem->access_virt_barray(common, blocks, row, 1, TRUE);
    std::memcpy(line[0], coefficients.data() + std::size_t{64} * columns * row,
                columns * sizeof(JBLOCK));
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  return owned(buffer, bytes);
}

std::vector<std::uint8_t> test_picture(std::uint32_t width, std::uint32_t height, int components,
                                       std::uint32_t seed) {
  std::vector<std::uint8_t> pixels;
  pixels.reserve(std::size_t{width} * height * components);
  std::uint32_t noise = seed * 2654435761U + 1;
  for (std::uint32_t y = 0; y < height; ++y) {
    for (std::uint32_t x = 0; x < width; ++x) {
      for (int c = 0; c < components; ++c) {
        noise = noise * 1664525U + 1013904223U;
        const std::uint32_t gradient = x * (3 + c) + y * (5 - c) + seed * 40;
        const std::uint32_t stripe = ((x + 2 * y) / (7 + 3 * c)) % 2 * 90;
        pixels.push_back(static_cast<std::uint8_t>((gradient + stripe + (noise >> 27)) & 255));
      }
    }
  }
  return pixels;
}

}  // namespace bit::test
