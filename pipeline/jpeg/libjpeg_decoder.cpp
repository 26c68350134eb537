// Errors of libjpeg leave by longjmp, so every call into it sits in a small member of Session that
// holds no object with a destructor and answers with a bool; exceptions are thrown outside of
// those.
#include "pipeline/jpeg/libjpeg_decoder.h"

#include <cstdio>
// After cstdio.
#include <jpeglib.h>
// After jpeglib.h.
#include <jerror.h>

#include <algorithm>
#include <csetjmp>
#include <new>
#include <stdexcept>

#include "pipeline/jpeg/header.h"
#include "pipeline/jpeg/libjpeg_memory.h"
#include "storage/tfrecord.h"

namespace bit::pipeline {
namespace {

// A progressive file of a few bytes a scan can ask for minutes of work; encoders use about ten
// scans.
constexpr int kMaxScans = 500;
// Columns that are decoded at least. libjpeg-turbo takes a plainer upsampling when a component is
// at most two samples wide, so a narrow strip of a wide image would get other pixels; 32 columns
// are 8 samples even of 4:1:1.
constexpr std::uint32_t kMinColumns = 32;

// Warnings (level < 0) are what libjpeg can go on after. Those that leave the pixels as they were
// meant are harmless; all others mean that pixels are made up.
bool harmless(const jpeg_error_mgr& error) {
  switch (error.msg_code) {
    case JWRN_ADOBE_XFORM:     // unknown colour transform code: the usual one is taken
    case JWRN_BOGUS_ICC:       // colour profiles are not applied
    case JWRN_JFIF_MAJOR:      // a newer JFIF header
    case JWRN_NOT_SEQUENTIAL:  // progressive parameters in a baseline scan's header: not used
      return true;
    case JWRN_EXTRANEOUS_DATA: {
      // Padding between segments is common in the wild; before a restart marker it is lost pixels.
      const int marker = error.msg_parm.i[1];
      return marker < JPEG_RST0 || marker > JPEG_RST0 + 7;
    }
    default:
      return false;
  }
}

void ignore_output(j_common_ptr) {}
void ignore_source(j_decompress_ptr) {}

void skip_bytes(j_decompress_ptr info, long bytes) {
  if (bytes <= 0) return;
  const auto skipped = std::min(static_cast<std::size_t>(bytes), info->src->bytes_in_buffer);
  info->src->next_input_byte += skipped;
  info->src->bytes_in_buffer -= skipped;
}

// a * b / 255, rounded, as Pillow rounds it.
std::uint8_t multiply_255(std::uint32_t a, std::uint32_t b) {
  const std::uint32_t product = a * b + 128;
  return static_cast<std::uint8_t>(((product >> 8) + product) >> 8);
}

// `inverted` (Adobe): 255 is no ink. The arithmetic is Pillow's (src/libImaging/Convert.c,
// cmyk2rgb).
void cmyk_to_rgb(const std::uint8_t* cmyk, std::uint32_t pixels, bool inverted, std::uint8_t* rgb) {
  const std::uint8_t flip = inverted ? 0 : 255;
  for (std::uint32_t i = 0; i < pixels; ++i, cmyk += 4, rgb += 3) {
    const std::uint8_t light = cmyk[3] ^ flip;  // 255 - black ink
    for (int c = 0; c < 3; ++c) {
      const std::uint8_t ink = cmyk[c] ^ flip ^ 255;
      rgb[c] = static_cast<std::uint8_t>(light - multiply_255(ink, light));
    }
  }
}

}  // namespace

// Everything that libjpeg calls back. The address must not change: libjpeg keeps pointers into it.
struct LibjpegDecoder::Session {
  jpeg_decompress_struct info{};
  jpeg_decompress_struct unused{};     // info as it was before any image
  jpeg_memory_mgr* created = nullptr;  // by libjpeg for `info`: holds what lives as long as that
  LibjpegMemory memory;                // for all else
  jpeg_error_mgr errors{};
  jpeg_source_mgr source{};
  jpeg_progress_mgr progress{};
  std::jmp_buf failed{};
  char reason[JMSG_LENGTH_MAX] = {};
  bool out_of_memory = false;
  bool header_read = false;

  Session();
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // False: `reason` says why, and the session can open the next image.
  bool create();
  bool open(std::span<const std::byte> jpeg);
  bool start(std::uint32_t x, std::uint32_t width, std::uint32_t skipped_rows,
             std::uint32_t shrink);
  bool read_row(std::uint8_t* row);
  // Gives the image's memory back. Rows below the last one read are not decoded.
  void abort() { jpeg_abort_decompress(&info); }

  // Throws what the last failure was.
  [[noreturn]] void raise() const;

  // Callbacks.
  [[noreturn]] static void fail_because(j_decompress_ptr info, const char* reason);
  [[noreturn]] static void on_error(j_common_ptr info);
  static void on_message(j_common_ptr info, int level);
  static boolean on_end_of_data(j_decompress_ptr info);
  static void limit_scans(j_common_ptr info);
};

void LibjpegDecoder::Session::fail_because(j_decompress_ptr info, const char* reason) {
  auto* session = static_cast<Session*>(info->client_data);
  std::snprintf(session->reason, sizeof session->reason, "%s", reason);
  std::longjmp(session->failed, 1);
}

void LibjpegDecoder::Session::on_error(j_common_ptr info) {
  auto* session = static_cast<Session*>(info->client_data);
  info->err->format_message(info, session->reason);
  session->out_of_memory = info->err->msg_code == JERR_OUT_OF_MEMORY;
  std::longjmp(session->failed, 1);
}

void LibjpegDecoder::Session::on_message(j_common_ptr info, int level) {
  if (level < 0 && !harmless(*info->err)) on_error(info);
}

// Called at the end of the bytes: the whole image is in the buffer from the start.
boolean LibjpegDecoder::Session::on_end_of_data(j_decompress_ptr info) {
  static constexpr JOCTET kEndOfImage[2] = {0xFF, JPEG_EOI};
  const auto* session = static_cast<Session*>(info->client_data);
  if (!session->header_read) fail_because(info, "the data ends inside the header");
  // Several scans refine the same pixels, and the arithmetic decoder takes missing bytes for zeros:
  // nothing later would notice the loss.
  if (jpeg_has_multiple_scans(info) || info->arith_code)
    fail_because(info, "the data ends inside the image");
  // Of one Huffman-coded scan only the end marker may be missing: the decoder warns when it needs
  // bits after it.
  info->src->next_input_byte = kEndOfImage;
  info->src->bytes_in_buffer = sizeof kEndOfImage;
  return TRUE;
}

void LibjpegDecoder::Session::limit_scans(j_common_ptr info) {
  auto* decoder = reinterpret_cast<j_decompress_ptr>(info);
  if (decoder->input_scan_number > kMaxScans) fail_because(decoder, "more than 500 scans");
}

LibjpegDecoder::Session::Session() {
  info.err = jpeg_std_error(&errors);
  info.client_data = this;
  errors.error_exit = on_error;
  errors.emit_message = on_message;
  errors.output_message = ignore_output;
  source.init_source = ignore_source;
  source.fill_input_buffer = on_end_of_data;
  source.skip_input_data = skip_bytes;
  source.resync_to_restart = jpeg_resync_to_restart;
  source.term_source = ignore_source;
  progress.progress_monitor = limit_scans;
}

LibjpegDecoder::Session::~Session() {
  if (created != nullptr) info.mem = created;
  jpeg_destroy_decompress(&info);
}

bool LibjpegDecoder::Session::create() {
  if (setjmp(failed) != 0) return false;
  jpeg_create_decompress(&info);
  created = info.mem;
  info.mem = &memory;
  info.src = &source;
  info.progress = &progress;
  unused = info;
  return true;
}

bool LibjpegDecoder::Session::open(std::span<const std::byte> jpeg) {
  if (setjmp(failed) != 0) {
    abort();
    return false;
  }
  abort();        // an image that was not read to its end
  info = unused;  // without the tables of the image before, which a file may lack
  out_of_memory = false;
  header_read = false;
  source.next_input_byte = reinterpret_cast<const JOCTET*>(jpeg.data());
  source.bytes_in_buffer = jpeg.size();
  jpeg_read_header(&info, TRUE);
  header_read = true;
  if (std::uint64_t{info.image_width} * info.image_height > kMaxJpegPixels) {
    fail_because(&info, "more than 2^28 pixels");
  }
  // libjpeg-turbo 2 says so itself; 3 would go on with samples of two bytes.
  if (info.data_precision != 8) fail_because(&info, "not 8 bits a sample");
  if (info.jpeg_color_space == JCS_UNKNOWN) {
    fail_because(&info, "neither grey nor three nor four colour components");
  }
  return true;
}

bool LibjpegDecoder::Session::start(std::uint32_t x, std::uint32_t width,
                                    std::uint32_t skipped_rows, std::uint32_t shrink) {
  if (setjmp(failed) != 0) {
    abort();
    return false;
  }
  const bool four = info.jpeg_color_space == JCS_CMYK || info.jpeg_color_space == JCS_YCCK;
  info.out_color_space = four ? JCS_CMYK : JCS_RGB;
  info.dct_method = JDCT_ISLOW;
  info.do_fancy_upsampling = TRUE;
  info.do_block_smoothing = FALSE;  // would make pixels depend on which part is decoded
  info.scale_num = DCTSIZE / shrink;
  info.scale_denom = DCTSIZE;
  jpeg_start_decompress(&info);
  if (width < info.output_width) {
    JDIMENSION left = x, columns = width;
    jpeg_crop_scanline(&info, &left, &columns);
  }
  if (skipped_rows > 0) jpeg_skip_scanlines(&info, skipped_rows);
  return true;
}

bool LibjpegDecoder::Session::read_row(std::uint8_t* row) {
  if (setjmp(failed) != 0) {
    abort();
    return false;
  }
  JSAMPROW rows[1] = {row};
  jpeg_read_scanlines(&info, rows, 1);
  return true;
}

void LibjpegDecoder::Session::raise() const {
  if (out_of_memory) throw std::bad_alloc();
  throw storage::DataError(reason);
}

LibjpegDecoder::LibjpegDecoder() : session_(std::make_unique<Session>()) {
  if (session_->create()) return;
  if (session_->out_of_memory) throw std::bad_alloc();
  throw std::runtime_error(session_->reason);
}

LibjpegDecoder::~LibjpegDecoder() = default;

void LibjpegDecoder::open(std::span<const std::byte> jpeg) {
  if (!session_->open(jpeg)) session_->raise();
}

std::uint32_t LibjpegDecoder::width() const { return session_->info.image_width; }
std::uint32_t LibjpegDecoder::height() const { return session_->info.image_height; }
int LibjpegDecoder::components() const { return session_->info.num_components; }

bool LibjpegDecoder::begin(const CropBox& box, std::uint32_t shrink) {
  const auto& info = session_->info;
  const std::uint32_t image_width = (info.image_width + shrink - 1) / shrink;
  // One column more on each side: upsampling of colour looks at its neighbours.
  std::uint32_t left = box.x > 0 ? box.x - 1 : 0;
  std::uint32_t right = std::min(std::max(box.x + box.width + 1, left + kMinColumns), image_width);
  if (right - left < kMinColumns) left = right > kMinColumns ? right - kMinColumns : 0;
  // Of shrunken images with unusual sampling factors jpeg_crop_scanline gives other pixels.
  if (shrink > 1) left = 0, right = image_width;
  if (!session_->start(left, right - left, box.y, shrink)) session_->raise();

  const auto components = static_cast<std::uint32_t>(info.output_components);
  const std::size_t bytes = std::size_t{info.output_width} * components;
  if (row_.size() < bytes) row_.resize(bytes);
  const std::size_t rgb_bytes = std::size_t{box.width} * 3;
  if (components == 4 && rgb_.size() < rgb_bytes) rgb_.resize(rgb_bytes);
  // jpeg_crop_scanline moves the left edge to a block's and the width by as much.
  first_ = std::size_t{box.x - (right - info.output_width)} * components;
  width_ = box.width;
  rows_left_ = box.height;
  return true;
}

const std::uint8_t* LibjpegDecoder::next_row() {
  if (!session_->read_row(row_.data())) session_->raise();
  if (--rows_left_ == 0) session_->abort();
  const auto& info = session_->info;
  const std::uint8_t* const wanted = row_.data() + first_;
  if (info.output_components != 4) return wanted;
  cmyk_to_rgb(wanted, width_, info.saw_Adobe_marker, rgb_.data());
  return rgb_.data();
}

}  // namespace bit::pipeline
