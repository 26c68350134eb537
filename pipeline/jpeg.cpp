// JPEG through the libjpeg API of libjpeg-turbo. Its errors leave by longjmp, so every call into it
// sits in a small member of JpegSession that holds no object with a destructor and answers with a
// bool; exceptions are thrown outside of those.
#include "pipeline/jpeg.h"

#include <jpeglib.h>
// After jpeglib.h, which they need.
#include <jerror.h>

#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

#include "pipeline/jpeg/strip_decoder.h"
#include "pipeline/resize.h"
#include "storage/tfrecord.h"

namespace bit::pipeline {
namespace {

constexpr std::uint64_t kMaxPixels = std::uint64_t{1} << 28;
// A progressive file of a few bytes a scan can ask for minutes of work; encoders use about ten
// scans.
constexpr int kMaxScans = 500;
// Columns that are decoded at least. libjpeg-turbo takes a plainer upsampling when a component is
// at most two samples wide, so a narrow strip of a wide image would get other pixels; 32 columns
// are 8 samples even of 4:1:1.
constexpr std::uint32_t kMinColumns = 32;

// Everything that libjpeg calls back. The address must not change: libjpeg keeps pointers into it.
struct JpegSession {
  jpeg_decompress_struct info{};
  jpeg_error_mgr errors{};
  jpeg_source_mgr source{};
  jpeg_progress_mgr progress{};
  std::jmp_buf failed{};
  char reason[JMSG_LENGTH_MAX] = {};
  bool header_read = false;
  bool created = false;

  JpegSession();
  ~JpegSession() {
    if (created) jpeg_destroy_decompress(&info);
  }
  JpegSession(const JpegSession&) = delete;
  JpegSession& operator=(const JpegSession&) = delete;

  // False: `reason` says why, and the session can open the next image.
  bool create();
  // On a new libjpeg object: one that is used again keeps the tables of the image before, and a
  // file that lacks its own would be decoded by those.
  bool open(std::span<const std::byte> jpeg);
  bool start(std::uint32_t x, std::uint32_t width, std::uint32_t skipped_rows);
  bool read_row(std::uint8_t* row);
  // Gives the image's memory back. Rows below the last one read are not decoded.
  void abort() { jpeg_abort_decompress(&info); }
};

[[noreturn]] void fail(j_common_ptr info) {
  std::longjmp(static_cast<JpegSession*>(info->client_data)->failed, 1);
}

[[noreturn]] void fail_because(j_decompress_ptr info, const char* reason) {
  auto* session = static_cast<JpegSession*>(info->client_data);
  std::snprintf(session->reason, sizeof session->reason, "%s", reason);
  std::longjmp(session->failed, 1);
}

[[noreturn]] void on_error(j_common_ptr info) {
  info->err->format_message(info, static_cast<JpegSession*>(info->client_data)->reason);
  fail(info);
}

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

void on_message(j_common_ptr info, int level) {
  if (level < 0 && !harmless(*info->err)) on_error(info);
}

void ignore_output(j_common_ptr) {}
void ignore_source(j_decompress_ptr) {}

// Called at the end of the bytes: the whole image is in the buffer from the start.
boolean on_end_of_data(j_decompress_ptr info) {
  static constexpr JOCTET kEndOfImage[2] = {0xFF, JPEG_EOI};
  const auto* session = static_cast<JpegSession*>(info->client_data);
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

void skip_bytes(j_decompress_ptr info, long bytes) {
  if (bytes <= 0) return;
  const auto skipped = std::min(static_cast<std::size_t>(bytes), info->src->bytes_in_buffer);
  info->src->next_input_byte += skipped;
  info->src->bytes_in_buffer -= skipped;
}

void limit_scans(j_common_ptr info) {
  auto* decoder = reinterpret_cast<j_decompress_ptr>(info);
  if (decoder->input_scan_number > kMaxScans) fail_because(decoder, "more than 500 scans");
}

JpegSession::JpegSession() {
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

bool JpegSession::create() {
  if (setjmp(failed) != 0) return false;
  if (created) jpeg_destroy_decompress(&info);
  created = false;
  jpeg_create_decompress(&info);
  created = true;
  info.src = &source;
  info.progress = &progress;
  return true;
}

bool JpegSession::open(std::span<const std::byte> jpeg) {
  if (!create()) return false;
  if (setjmp(failed) != 0) {
    abort();
    return false;
  }
  header_read = false;
  source.next_input_byte = reinterpret_cast<const JOCTET*>(jpeg.data());
  source.bytes_in_buffer = jpeg.size();
  jpeg_read_header(&info, TRUE);
  header_read = true;
  if (std::uint64_t{info.image_width} * info.image_height > kMaxPixels) {
    fail_because(&info, "more than 2^28 pixels");
  }
  if (info.jpeg_color_space == JCS_UNKNOWN) {
    fail_because(&info, "neither grey nor three nor four colour components");
  }
  return true;
}

bool JpegSession::start(std::uint32_t x, std::uint32_t width, std::uint32_t skipped_rows) {
  if (setjmp(failed) != 0) {
    abort();
    return false;
  }
  const bool four = info.jpeg_color_space == JCS_CMYK || info.jpeg_color_space == JCS_YCCK;
  info.out_color_space = four ? JCS_CMYK : JCS_RGB;
  info.dct_method = JDCT_ISLOW;
  info.do_fancy_upsampling = TRUE;
  info.do_block_smoothing = FALSE;  // would make pixels depend on which part is decoded
  jpeg_start_decompress(&info);
  if (width < info.output_width) {
    JDIMENSION left = x, columns = width;
    jpeg_crop_scanline(&info, &left, &columns);
  }
  if (skipped_rows > 0) jpeg_skip_scanlines(&info, skipped_rows);
  return true;
}

bool JpegSession::read_row(std::uint8_t* row) {
  if (setjmp(failed) != 0) {
    abort();
    return false;
  }
  JSAMPROW rows[1] = {row};
  jpeg_read_scanlines(&info, rows, 1);
  return true;
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

struct JpegDecoder::Impl {
  const JpegMethod method;
  StripDecoder strip;
  JpegSession session;
  std::span<const std::byte> jpeg;
  enum class Opened { kNot, kStrip, kLibjpeg } opened = Opened::kNot;
  RowResizer resizer;
  std::vector<std::uint8_t> row;  // as libjpeg gives it
  std::vector<std::uint8_t> rgb;  // converted from CMYK

  explicit Impl(JpegMethod jpeg_method) : method(jpeg_method) {}
  void open_with_libjpeg() {
    if (!session.open(jpeg)) throw storage::DataError(session.reason);
    opened = Opened::kLibjpeg;
  }
  ImageSize size() const {
    if (opened == Opened::kStrip) return {strip.header().width, strip.header().height};
    return {session.info.image_width, session.info.image_height};
  }

  // Calls begin() and then use(const std::uint8_t* rgb) for each row of `box`; and once more from
  // begin() when it turns out that libjpeg has to do it. RowResizer::kRowPadding bytes after a row
  // are readable.
  template <typename Begin, typename Use>
  void decode_rows(const CropBox& box, Begin begin, Use use);
  template <typename Use>
  bool decode_strip(const CropBox& box, Use use);
  template <typename Use>
  void decode_with_libjpeg(const CropBox& box, Use use);
};

template <typename Begin, typename Use>
void JpegDecoder::Impl::decode_rows(const CropBox& box, Begin begin, Use use) {
  const Opened how = std::exchange(opened, Opened::kNot);
  if (how == Opened::kNot) throw std::logic_error("no image is open");
  begin();
  if (how == Opened::kStrip) {
    if (decode_strip(box, use)) return;
    open_with_libjpeg();
    opened = Opened::kNot;
    begin();
  }
  decode_with_libjpeg(box, use);
}

template <typename Use>
bool JpegDecoder::Impl::decode_strip(const CropBox& box, Use use) {
  strip.begin(box);
  for (std::uint32_t y = 0; y < box.height; ++y) {
    const std::uint8_t* pixels = strip.next_row();
    if (pixels == nullptr) return false;
    use(pixels);
  }
  return true;
}

template <typename Use>
void JpegDecoder::Impl::decode_with_libjpeg(const CropBox& box, Use use) {
  const auto& info = session.info;
  const std::uint32_t image_width = info.image_width;
  // One column more on each side: upsampling of colour looks at its neighbours.
  std::uint32_t left = box.x > 0 ? box.x - 1 : 0;
  const std::uint32_t right =
      std::min(std::max(box.x + box.width + 1, left + kMinColumns), image_width);
  if (right - left < kMinColumns) left = right > kMinColumns ? right - kMinColumns : 0;
  if (!session.start(left, right - left, box.y)) throw storage::DataError(session.reason);

  const auto components = static_cast<std::uint32_t>(info.output_components);
  const std::size_t bytes = std::size_t{info.output_width} * components + RowResizer::kRowPadding;
  if (row.size() < bytes) row.resize(bytes);
  // jpeg_crop_scanline moves the left edge to a block's and the width by as much.
  const std::uint32_t decoded_left = right - info.output_width;
  const std::uint8_t* wanted = row.data() + std::size_t{box.x - decoded_left} * components;
  const bool cmyk = components == 4;
  if (cmyk && rgb.size() < std::size_t{box.width} * 3 + RowResizer::kRowPadding) {
    rgb.resize(std::size_t{box.width} * 3 + RowResizer::kRowPadding);
  }
  for (std::uint32_t y = 0; y < box.height; ++y) {
    if (!session.read_row(row.data())) throw storage::DataError(session.reason);
    if (cmyk) cmyk_to_rgb(wanted, box.width, info.saw_Adobe_marker, rgb.data());
    use(cmyk ? rgb.data() : wanted);
  }
  session.abort();
}

JpegDecoder::JpegDecoder(JpegMethod method) : impl_(std::make_unique<Impl>(method)) {
  if (!impl_->session.create()) throw std::runtime_error(impl_->session.reason);
}

JpegDecoder::~JpegDecoder() = default;

ImageSize JpegDecoder::open(std::span<const std::byte> jpeg) {
  Impl& impl = *impl_;
  impl.opened = Impl::Opened::kNot;
  if (jpeg.empty()) throw storage::DataError("no data");
  impl.jpeg = jpeg;
  if (impl.method == JpegMethod::kFastest && impl.strip.open(jpeg)) {
    impl.opened = Impl::Opened::kStrip;
  } else {
    impl.open_with_libjpeg();
  }
  return impl.size();
}

int JpegDecoder::components() const {
  if (impl_->opened == Impl::Opened::kStrip) {
    return static_cast<int>(impl_->strip.header().components.size());
  }
  return impl_->session.info.num_components;
}

void JpegDecoder::decode(const ImagePlan& plan, std::uint32_t size, std::span<std::uint8_t> out) {
  const ImageSize image = impl_->size();
  const CropBox& crop = plan.crop;
  if (crop.x > image.width || crop.width > image.width - crop.x || crop.y > image.height ||
      crop.height > image.height - crop.y) {
    throw std::invalid_argument("the crop is not inside the image");
  }
  RowResizer& resizer = impl_->resizer;
  resizer.begin(plan, size, out);
  const CropBox source = resizer.source();
  impl_->decode_rows(
      source, [&] { resizer.begin(plan, size, out); },
      [&](const std::uint8_t* row) { resizer.push_row(row); });
}

RgbImage JpegDecoder::decode_full() {
  const ImageSize size = impl_->size();
  RgbImage image{size.width, size.height, {}};
  const std::size_t row_bytes = std::size_t{image.width} * 3;
  image.pixels.resize(row_bytes * image.height);
  std::uint8_t* out = nullptr;
  impl_->decode_rows(
      {0, 0, image.width, image.height}, [&] { out = image.pixels.data(); },
      [&](const std::uint8_t* row) {
        std::memcpy(out, row, row_bytes);
        out += row_bytes;
      });
  return image;
}

}  // namespace bit::pipeline
