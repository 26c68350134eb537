// libjpeg reports errors by longjmp: both ends of the jump are inside transcode(), whose frame
// holds nothing that a jump could leak.
#include "pipeline/convert/jpeg_transcode.h"

#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <utility>

// after <cstdio>, which they need
#include <jerror.h>
#include <jpeglib.h>

#include "pipeline/convert/jpeg_symbols.h"
#include "storage/tfrecord.h"

namespace bit::pipeline {
namespace {

// Beyond these a header is a lie or a bomb (as in JpegDecoder).
constexpr std::uint32_t kMaxSide = 65500;
constexpr std::uint64_t kMaxPixels = std::uint64_t{1} << 28;
constexpr int kMaxScans = 500;  // of a progressive file; real ones have about ten

// What libjpeg is told to call on errors, with a place to jump to. `jpeg_error_mgr` is first, so
// that a pointer to it is a pointer to this.
struct ErrorManager {
  jpeg_error_mgr base;
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX];
};

ErrorManager& manager(j_common_ptr info) { return *reinterpret_cast<ErrorManager*>(info->err); }

[[noreturn]] void jump_out(j_common_ptr info) {
  ErrorManager& errors = manager(info);
  info->err->format_message(info, errors.message);
  std::longjmp(errors.jump, 1);
}

// Warnings about the data are errors: libjpeg would go on with grey areas. The tolerated ones are
// about markers and leave the coefficients as they are.
void on_message(j_common_ptr info, int level) {
  if (level >= 0) return;
  switch (info->err->msg_code) {
    case JWRN_EXTRANEOUS_DATA:
    case JWRN_JFIF_MAJOR:
    case JWRN_ADOBE_XFORM:
    case JWRN_BOGUS_PROGRESSION:
      return;
    default:
      jump_out(info);
  }
}

void on_progress(j_common_ptr info) {
  const auto* source = reinterpret_cast<jpeg_decompress_struct*>(info);
  if (info->is_decompressor && source->input_scan_number > kMaxScans) {
    std::snprintf(manager(info).message, JMSG_LENGTH_MAX, "more than %d scans", kMaxScans);
    std::longjmp(manager(info).jump, 1);
  }
}

// Both halves of a transcoding and what they allocate. Trivial on purpose: a jump passes it by.
struct Transcoder {
  ErrorManager errors;
  jpeg_progress_mgr progress;
  jpeg_decompress_struct source;
  jpeg_compress_struct target;
  unsigned char* bytes;  // malloc'ed by jpeg_mem_dest
  unsigned long size;
  bool writing;  // the source was read without error
};

// Destroys what transcode() left, whichever way it ended.
class TranscoderGuard {
 public:
  explicit TranscoderGuard(Transcoder& transcoder) : transcoder_(transcoder) {}
  ~TranscoderGuard() {
    jpeg_destroy_compress(&transcoder_.target);
    jpeg_destroy_decompress(&transcoder_.source);
    std::free(transcoder_.bytes);
  }
  TranscoderGuard(const TranscoderGuard&) = delete;
  TranscoderGuard& operator=(const TranscoderGuard&) = delete;

 private:
  Transcoder& transcoder_;
};

void copy_coefficients(Transcoder& transcoder, jvirt_barray_ptr* coefficients,
                       const TranscodeOptions& options) {
  auto& source = transcoder.source;
  auto& target = transcoder.target;
  jpeg_mem_dest(&target, &transcoder.bytes, &transcoder.size);
  jpeg_copy_critical_parameters(&source, &target);
  target.optimize_coding = TRUE;
  // Four components without an Adobe marker are plain CMYK, with one inverted CMYK or YCCK: the
  // marker decides the colours, so it stays away or stays.
  if (source.num_components == 4) target.write_Adobe_marker = source.saw_Adobe_marker;
  if (options.restart_intervals) target.restart_interval = kRestartInterval;
  jpeg_write_coefficients(&target, coefficients);
  jpeg_finish_compress(&target);
}

// False when libjpeg gave up; transcoder.errors.message says why.
bool transcode(Transcoder& transcoder, std::span<const std::byte> file,
               const TranscodeOptions& options) {
  auto& source = transcoder.source;
  source.err = transcoder.target.err = jpeg_std_error(&transcoder.errors.base);
  transcoder.errors.base.error_exit = jump_out;
  transcoder.errors.base.emit_message = on_message;
  if (setjmp(transcoder.errors.jump) != 0) return false;
  jpeg_create_decompress(&source);
  jpeg_create_compress(&transcoder.target);
  transcoder.progress.progress_monitor = on_progress;
  source.progress = &transcoder.progress;
  jpeg_mem_src(&source, reinterpret_cast<const unsigned char*>(file.data()), file.size());
  jpeg_read_header(&source, TRUE);
  if (source.image_width > kMaxSide || source.image_height > kMaxSide ||
      std::uint64_t{source.image_width} * source.image_height > kMaxPixels) {
    std::snprintf(transcoder.errors.message, JMSG_LENGTH_MAX, "%u x %u pixels are too many",
                  source.image_width, source.image_height);
    return false;
  }
  jvirt_barray_ptr* coefficients = jpeg_read_coefficients(&source);
  transcoder.writing = true;
  copy_coefficients(transcoder, coefficients, options);
  jpeg_finish_decompress(&source);
  return true;
}

}  // namespace

std::vector<std::byte> transcode_jpeg(std::span<const std::byte> file,
                                      const TranscodeOptions& options) {
  if (auto transcoded = transcode_symbols(file, options)) return *std::move(transcoded);
  return transcode_with_libjpeg(file, options);
}

std::vector<std::byte> transcode_with_libjpeg(std::span<const std::byte> file,
                                              const TranscodeOptions& options) {
  Transcoder transcoder{};
  const TranscoderGuard guard(transcoder);
  if (transcode(transcoder, file, options)) {
    const auto* bytes = reinterpret_cast<const std::byte*>(transcoder.bytes);
    return {bytes, bytes + transcoder.size};
  }
  // Read but not to be written as baseline: coefficients beyond its range, MCUs of more than ten
  // blocks. The file is good as it is.
  if (transcoder.writing) return {file.begin(), file.end()};
  throw storage::DataError(transcoder.errors.message);
}

}  // namespace bit::pipeline
