// JPEG by libjpeg-turbo, with the settings of PIL, so that an image has the bytes that PIL gives it.
//
// libjpeg reports an error by calling a function that must not return. Ours jumps back to `attempt` with
// longjmp, which skips destructors: no object with a destructor may live in the steps that `attempt` runs.
#include <cstdio>  // jpeglib.h uses FILE without including it

#include <jpeglib.h>

#include <jerror.h>

#include <algorithm>
#include <array>
#include <csetjmp>
#include <new>
#include <type_traits>

#include "core/error.h"
#include "data/codecs.h"

namespace rcnn {
namespace {

#define RCNN_TEXT_OF(macro) RCNN_TEXT(macro)
#define RCNN_TEXT(text) #text

/// libjpeg's error manager, and where to jump on an error.
struct Errors {
  jpeg_error_mgr manager{};  // the first member: libjpeg only knows its address
  std::jmp_buf place{};
  std::array<char, JMSG_LENGTH_MAX> sentence{};

  Errors() {
    jpeg_std_error(&manager);
    manager.error_exit = fail;
    manager.emit_message = judge_warning;
    manager.output_message = [](j_common_ptr) {};  // the default prints
  }

 private:
  [[noreturn]] static void fail(j_common_ptr library) {
    auto* errors = reinterpret_cast<Errors*>(library->err);
    library->err->format_message(library, errors->sentence.data());
    std::longjmp(errors->place, 1);
  }

  /// After these warnings libjpeg makes up the pixels that are missing, which is an error here. The others,
  /// such as a few superfluous bytes before a marker, are common in good files.
  static void judge_warning(j_common_ptr library, int level) {
    if (level >= 0) return;  // not a warning, but a line for a log
    switch (library->err->msg_code) {
      case JWRN_ARITH_BAD_CODE:
      case JWRN_HIT_MARKER:
      case JWRN_HUFF_BAD_CODE:
      case JWRN_MUST_RESYNC:
        fail(library);
      default:
        ++library->err->num_warnings;
    }
  }
};

/// Runs `steps`, which call libjpeg. False if libjpeg reported an error; its sentence is then in `errors`.
/// Throws std::bad_alloc if it ran out of memory.
template <class Steps>
bool attempt(Errors& errors, const Steps& steps) {
  static_assert(std::is_trivially_destructible_v<Steps>);
  if (setjmp(errors.place) == 0) {
    steps();
    return true;
  }
  if (errors.manager.msg_code == JERR_OUT_OF_MEMORY) throw std::bad_alloc();
  return false;
}

/// Hands the bytes of a file to libjpeg in small pieces. While it has more than 512 bytes per block of
/// pixels, libjpeg-turbo decodes in a loop that takes a wrong Huffman code for a right one. With these pieces
/// it always uses the loop that warns of it, which makes decoding 5 % slower.
struct Input {
  jpeg_source_mgr manager{};  // the first member: libjpeg only knows its address

  explicit Input(std::span<const uint8_t> bytes) : next_(bytes.data()), end_(bytes.data() + bytes.size()) {
    manager.init_source = [](j_decompress_ptr) {};
    manager.fill_input_buffer = [](j_decompress_ptr state) -> boolean {
      Input& input = of(state);
      const size_t count = std::min<size_t>(kPiece, static_cast<size_t>(input.end_ - input.next_));
      if (count == 0) ERREXIT(state, JWRN_JPEG_EOF);
      input.hand_over(count);
      return TRUE;
    };
    manager.skip_input_data = [](j_decompress_ptr state, long count) {
      if (count <= 0) return;
      Input& input = of(state);
      input.next_ = input.manager.next_input_byte;
      input.next_ += std::min<ptrdiff_t>(count, input.end_ - input.next_);
      input.hand_over(0);
    };
    manager.resync_to_restart = jpeg_resync_to_restart;
    manager.term_source = [](j_decompress_ptr) {};
  }

 private:
  static constexpr size_t kPiece = 256;
  static Input& of(j_decompress_ptr state) { return *reinterpret_cast<Input*>(state->src); }
  void hand_over(size_t count) {
    manager.next_input_byte = next_;
    manager.bytes_in_buffer = count;
    next_ += count;
  }

  const uint8_t *next_, *end_;  // what libjpeg does not have yet
};

/// libjpeg's state of decoding one image.
struct Decoder {
  Errors errors;
  Input input;
  jpeg_decompress_struct state{};

  explicit Decoder(std::span<const uint8_t> bytes) : input(bytes) { state.err = &errors.manager; }
  ~Decoder() { jpeg_destroy_decompress(&state); }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
};

/// The product of two numbers in units of 1/255, rounded to the nearest.
uint8_t multiply(int a, int b) { return static_cast<uint8_t>((a * b + 127) / 255); }

/// RGB from CMYK. Adobe's programs store 255 minus the amount of ink.
void cmyk_to_rgb(const uint8_t* cmyk, uint8_t* rgb, int width) {
  for (int x = 0; x < width; ++x, cmyk += 4, rgb += 3)
    for (int c = 0; c < 3; ++c) rgb[c] = multiply(cmyk[c], cmyk[3]);
}

/// Collects the bytes of a JPEG file as libjpeg writes them.
struct Output {
  jpeg_destination_mgr manager{};  // the first member: libjpeg only knows its address
  std::array<uint8_t, 65536> buffer{};
  std::vector<uint8_t> jpeg;

  Output() {
    manager.init_destination = [](j_compress_ptr state) { of(state).start_buffer(); };
    manager.empty_output_buffer = [](j_compress_ptr state) -> boolean {
      Output& output = of(state);
      if (!output.append(output.buffer.size())) ERREXIT1(state, JERR_OUT_OF_MEMORY, 0);
      output.start_buffer();
      return TRUE;
    };
    manager.term_destination = [](j_compress_ptr state) {
      Output& output = of(state);
      if (!output.append(output.buffer.size() - output.manager.free_in_buffer))
        ERREXIT1(state, JERR_OUT_OF_MEMORY, 0);
    };
  }

 private:
  static Output& of(j_compress_ptr state) { return *reinterpret_cast<Output*>(state->dest); }
  void start_buffer() {
    manager.next_output_byte = buffer.data();
    manager.free_in_buffer = buffer.size();
  }
  /// False if there is no memory left. An exception must not pass through libjpeg.
  bool append(size_t count) noexcept {
    try {
      jpeg.insert(jpeg.end(), buffer.begin(), buffer.begin() + static_cast<ptrdiff_t>(count));
      return true;
    } catch (const std::bad_alloc&) {
      return false;
    }
  }
};

/// libjpeg's state of encoding one image.
struct Encoder {
  Errors errors;
  Output output;
  jpeg_compress_struct state{};

  Encoder() { state.err = &errors.manager; }
  ~Encoder() { jpeg_destroy_compress(&state); }
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;
};

}  // namespace

std::string turbo_version() { return "libjpeg-turbo " RCNN_TEXT_OF(LIBJPEG_TURBO_VERSION); }

std::vector<uint8_t> turbo_decode_jpeg(std::span<const uint8_t> bytes, ImageSize size,
                                       const std::string& file) {
  Decoder decoder(bytes);
  jpeg_decompress_struct& state = decoder.state;
  const auto run = [&](const auto& steps) {
    check_input(attempt(decoder.errors, steps),
                "{} cannot be decoded: it is damaged or of an unsupported kind ({}).", file,
                decoder.errors.sentence.data());
  };
  run([&] {
    jpeg_create_decompress(&state);
    state.src = &decoder.input.manager;
    jpeg_read_header(&state, TRUE);
  });
  check_decoded_size({static_cast<int>(state.image_width), static_cast<int>(state.image_height)}, size, file);

  const bool cmyk = state.num_components == 4;
  state.out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
  const size_t width = state.image_width;
  std::vector<uint8_t> rgb(width * state.image_height * 3), row(cmyk ? width * 4 : 0);
  run([&] {
    jpeg_start_decompress(&state);
    while (state.output_scanline < state.output_height) {
      uint8_t* const to = rgb.data() + state.output_scanline * width * 3;
      uint8_t* line = cmyk ? row.data() : to;
      jpeg_read_scanlines(&state, &line, 1);
      if (cmyk) cmyk_to_rgb(row.data(), to, size.width);
    }
    jpeg_finish_decompress(&state);
  });
  return rgb;
}

std::vector<uint8_t> turbo_encode_jpeg(const Image& image, int quality) {
  Encoder encoder;
  jpeg_compress_struct& state = encoder.state;
  const bool done = attempt(encoder.errors, [&] {
    jpeg_create_compress(&state);
    state.dest = &encoder.output.manager;
    state.image_width = static_cast<JDIMENSION>(image.width);
    state.image_height = static_cast<JDIMENSION>(image.height);
    state.input_components = 3;
    state.in_color_space = JCS_RGB;
    jpeg_set_defaults(&state);
    jpeg_set_quality(&state, quality, TRUE);
    if (quality > 90)
      for (int i = 0; i < state.num_components; ++i)
        state.comp_info[i].h_samp_factor = state.comp_info[i].v_samp_factor = 1;
    jpeg_start_compress(&state, TRUE);
    while (state.next_scanline < state.image_height) {
      // libjpeg does not write to the line, but takes it without const.
      auto* line = const_cast<uint8_t*>(image.pixel(0, static_cast<int>(state.next_scanline)));
      jpeg_write_scanlines(&state, &line, 1);
    }
    jpeg_finish_compress(&state);
  });
  check(done, "encode_jpeg: an image of {} x {} pixels could not be encoded ({}).", image.width, image.height,
        encoder.errors.sentence.data());
  return std::move(encoder.output.jpeg);
}

}  // namespace rcnn
