// libjpeg reports errors by longjmp: both ends of the jump are inside encode(), whose frame holds
// nothing that a jump could leak.
#include "pipeline/convert/encode_jpeg.h"

#include <csetjmp>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

// after <cstdio>, which it needs
#include <jpeglib.h>

#include "pipeline/convert/jpeg_transcode.h"
#include "storage/tfrecord.h"

namespace bit::pipeline {
namespace {

struct Encoder {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  std::jmp_buf failed{};
  char message[JMSG_LENGTH_MAX] = {};
  unsigned char* bytes = nullptr;  // malloc'ed by jpeg_mem_dest
  unsigned long size = 0;

  Encoder() = default;
  ~Encoder() {
    jpeg_destroy_compress(&info);
    std::free(bytes);
  }
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;

  // False: `message` says why.
  bool encode(const RgbImage& image, const EncodeOptions& options);
};

[[noreturn]] void on_error(j_common_ptr info) {
  auto* encoder = static_cast<Encoder*>(info->client_data);
  info->err->format_message(info, encoder->message);
  std::longjmp(encoder->failed, 1);
}

void ignore_message(j_common_ptr, int) {}

void set_parameters(jpeg_compress_struct& info, const EncodeOptions& options) {
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, options.quality, TRUE);
  info.comp_info[0].h_samp_factor = options.subsampling == Subsampling::k444 ? 1 : 2;
  info.comp_info[0].v_samp_factor = options.subsampling == Subsampling::k420 ? 2 : 1;
  info.dct_method = JDCT_ISLOW;
  info.optimize_coding = TRUE;
  if (options.restart_intervals) info.restart_interval = kRestartInterval;
}

bool Encoder::encode(const RgbImage& image, const EncodeOptions& options) {
  info.err = jpeg_std_error(&errors);
  info.client_data = this;
  errors.error_exit = on_error;
  errors.emit_message = ignore_message;
  if (setjmp(failed) != 0) return false;
  jpeg_create_compress(&info);
  jpeg_mem_dest(&info, &bytes, &size);
  info.image_width = image.width;
  info.image_height = image.height;
  info.input_components = 3;
  info.in_color_space = JCS_RGB;
  set_parameters(info, options);
  jpeg_start_compress(&info, TRUE);
  const std::size_t row_bytes = std::size_t{image.width} * 3;
  while (info.next_scanline < image.height) {
    // libjpeg only reads from it.
    auto* row = const_cast<JSAMPROW>(image.pixels.data() + info.next_scanline * row_bytes);
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  return true;
}

}  // namespace

std::vector<std::byte> encode_jpeg(const RgbImage& image, const EncodeOptions& options) {
  Encoder encoder;
  if (!encoder.encode(image, options)) throw storage::DataError(encoder.message);
  const auto* bytes = reinterpret_cast<const std::byte*>(encoder.bytes);
  return {bytes, bytes + encoder.size};
}

}  // namespace bit::pipeline
