#include "data/draw.h"

#include <fmt/format.h>
#include <stb/stb_truetype.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "core/error.h"

#ifndef RCNN_FONT
#error "RCNN_FONT is not set: build with the Makefile, which passes the path of DejaVuSans-Bold.ttf."
#endif
static_assert(sizeof(RCNN_FONT) > 1,
              "DejaVuSans-Bold.ttf was not found: install the package fonts-dejavu-core.");

// The font file, byte for byte, as read-only data.
asm(".pushsection .rodata\n"
    ".global rcnn_label_font\n"
    ".hidden rcnn_label_font\n"
    ".balign 16\n"
    "rcnn_label_font:\n"
    ".incbin \"" RCNN_FONT
    "\"\n"
    ".byte 0\n"
    ".popsection\n");
extern "C" __attribute__((visibility("hidden"))) const unsigned char rcnn_label_font[];

namespace rcnn {
namespace {

/// Whole pixels from (x1, y1) to (x2, y2), excluding x2 and y2.
struct Rectangle {
  int x1, y1, x2, y2;
};

bool overlap(const Rectangle& a, const Rectangle& b) {
  return a.x1 < b.x2 && b.x1 < a.x2 && a.y1 < b.y2 && b.y1 < a.y2;
}

/// The line width and text size for an image, in pixels.
struct Scale {
  int line, text;
};

Scale scale_for(const Image& image) {
  const int side = std::max(image.width, image.height);
  return {std::max(2, (side + 150) / 300), std::clamp(side / 40, 12, 96)};
}

void blend(Image& image, int x, int y, Colour colour, float share) {
  if (x < 0 || y < 0 || x >= image.width || y >= image.height) return;
  uint8_t* pixel = image.pixel(x, y);
  const std::array<uint8_t, 3> to = {colour.r, colour.g, colour.b};
  for (size_t c = 0; c < 3; ++c) {
    const float from = pixel[c];
    pixel[c] = static_cast<uint8_t>(from + (static_cast<float>(to[c]) - from) * share + 0.5f);
  }
}

void fill(Image& image, Rectangle area, Colour colour, float share = 1) {
  area = {std::max(area.x1, 0), std::max(area.y1, 0), std::min(area.x2, image.width),
          std::min(area.y2, image.height)};
  for (int y = area.y1; y < area.y2; ++y)
    for (int x = area.x1; x < area.x2; ++x) blend(image, x, y, colour, share);
}

/// The sides of a frame of `width` pixels just inside a rectangle. They do not overlap.
std::array<Rectangle, 4> frame_sides(const Rectangle& outer, int width) {
  const int w = std::min({width, (outer.x2 - outer.x1 + 1) / 2, (outer.y2 - outer.y1 + 1) / 2});
  return {{{outer.x1, outer.y1, outer.x2, outer.y1 + w},
           {outer.x1, std::max(outer.y2 - w, outer.y1 + w), outer.x2, outer.y2},
           {outer.x1, outer.y1 + w, outer.x1 + w, outer.y2 - w},
           {std::max(outer.x2 - w, outer.x1 + w), outer.y1 + w, outer.x2, outer.y2 - w}}};
}

void draw_frame(Image& image, const Rectangle& outer, int width, Colour colour, float share = 1) {
  for (const Rectangle& side : frame_sides(outer, width)) fill(image, side, colour, share);
}

/// Draws dashes as long as the gaps between them, starting at the top left corner.
void draw_dashes(Image& image, const Rectangle& outer, int width, Colour colour) {
  const int dash = 4 * width;
  for (const Rectangle& side : frame_sides(outer, width))
    for (int y = side.y1; y < side.y2; ++y)
      for (int x = side.x1; x < side.x2; ++x)
        if ((x - outer.x1 + y - outer.y1) / dash % 2 == 0) blend(image, x, y, colour, 1);
}

/// The pixels that a box covers. The comparisons also handle NaN and huge values.
Rectangle to_pixels(const Box& box, const Image& image) {
  const auto clamp = [](float value, int limit) {
    const float rounded = std::round(value);
    return !(rounded > 0) ? 0 : !(rounded < static_cast<float>(limit)) ? limit : static_cast<int>(rounded);
  };
  Rectangle area{clamp(box.x1, image.width), clamp(box.y1, image.height), clamp(box.x2, image.width),
                 clamp(box.y2, image.height)};
  area.x2 = std::max(area.x2, area.x1);
  area.y2 = std::max(area.y2, area.y1);
  return area;
}

/// The code points of UTF-8 text; every byte that is not UTF-8 becomes U+FFFD.
std::vector<int> code_points(std::string_view text) {
  std::vector<int> points;
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const size_t length = lead < 0x80       ? 1
                          : lead >> 5 == 6  ? 2
                          : lead >> 4 == 14 ? 3
                          : lead >> 3 == 30 ? 4
                                            : 0;
    int point = length == 1 ? lead : lead & (0x7F >> length);
    bool valid = length > 0 && i + length <= text.size();
    for (size_t k = 1; valid && k < length; ++k) {
      const auto byte = static_cast<unsigned char>(text[i + k]);
      valid = byte >> 6 == 2;
      point = point << 6 | (byte & 0x3F);
    }
    points.push_back(valid ? point : 0xFFFD);
    i += valid ? length : 1;
  }
  return points;
}

class Font {
 public:
  explicit Font(int pixels) {
    check(stbtt_InitFont(&info_, rcnn_label_font, 0) != 0, "The built-in font {} cannot be read.", RCNN_FONT);
    scale_ = stbtt_ScaleForPixelHeight(&info_, static_cast<float>(pixels));
    int ascent = 0, descent = 0, gap = 0;
    stbtt_GetFontVMetrics(&info_, &ascent, &descent, &gap);
    ascent_ = static_cast<float>(ascent) * scale_;
    height_ = static_cast<int>(std::ceil(static_cast<float>(ascent - descent) * scale_));
  }

  int height() const { return height_; }

  int width(const std::vector<int>& text) const {
    float x = 0;
    for (size_t i = 0; i < text.size(); ++i) x += advance(text, i);
    return static_cast<int>(std::ceil(x));
  }

  /// Draws the text with the top left corner of its line at (x, y), and nothing to the right of `end`.
  void draw(Image& image, int x, int y, int end, Colour colour, const std::vector<int>& text) const {
    const int baseline = y + static_cast<int>(std::lround(ascent_));
    float pen = static_cast<float>(x);
    for (size_t i = 0; i < text.size(); ++i) {
      draw_glyph(image, pen, baseline, end, colour, text[i]);
      pen += advance(text, i);
    }
  }

 private:
  float advance(const std::vector<int>& text, size_t i) const {
    int width = 0, bearing = 0;
    stbtt_GetCodepointHMetrics(&info_, text[i], &width, &bearing);
    if (i + 1 < text.size()) width += stbtt_GetCodepointKernAdvance(&info_, text[i], text[i + 1]);
    return static_cast<float>(width) * scale_;
  }

  void draw_glyph(Image& image, float pen, int baseline, int end, Colour colour, int point) const {
    const float whole = std::floor(pen), part = pen - whole;
    int x1 = 0, y1 = 0, x2 = 0, y2 = 0;
    stbtt_GetCodepointBitmapBoxSubpixel(&info_, point, scale_, scale_, part, 0, &x1, &y1, &x2, &y2);
    const int w = x2 - x1, h = y2 - y1;
    if (w <= 0 || h <= 0) return;
    std::vector<unsigned char> coverage(static_cast<size_t>(w) * static_cast<size_t>(h));
    stbtt_MakeCodepointBitmapSubpixel(&info_, coverage.data(), w, h, w, scale_, scale_, part, 0, point);
    for (int y = 0; y < h; ++y)
      for (int x = 0; x < w; ++x) {
        const int column = static_cast<int>(whole) + x1 + x;
        const float share = static_cast<float>(coverage[static_cast<size_t>(y * w + x)]) / 255;
        if (column < end) blend(image, column, baseline + y1 + y, colour, share);
      }
  }

  stbtt_fontinfo info_{};
  float scale_ = 0, ascent_ = 0;
  int height_ = 0;
};

/// Black or white, whichever is easier to read on `background` (relative luminance as in WCAG 2).
Colour text_colour(Colour background) {
  const auto linear = [](uint8_t value) { return std::pow(static_cast<float>(value) / 255, 2.2f); };
  const float luminance =
      0.2126f * linear(background.r) + 0.7152f * linear(background.g) + 0.0722f * linear(background.b);
  return luminance > 0.22f ? Colour{16, 16, 16} : Colour{255, 255, 255};
}

struct Label {
  Rectangle box;
  Colour colour;
  std::vector<int> text;
  bool dashed = false;
  Rectangle tag{};
};

/// A place for a tag of `width` x `height`: above the box, below it, inside or beside it, at its left or
/// right end. The first place that touches no other tag is taken; if there is none, the tag goes above or
/// inside. It always lies within the image.
Rectangle place_tag(const Image& image, const Rectangle& box, int width, int height,
                    const std::vector<Rectangle>& taken) {
  const int left = box.x1, right = box.x2 - width, above = box.y1 - height, top = box.y1,
            bottom = box.y2 - height;
  const int places[][2] = {{left, above}, {left, box.y2},   {right, above},        {right, box.y2},
                           {left, top},   {right, top},     {left, bottom},        {right, bottom},
                           {box.x2, top}, {box.x2, bottom}, {box.x1 - width, top}, {box.x1 - width, bottom}};
  const auto moved_inside = [&](int x, int y) {
    x = std::max(std::min(x, image.width - width), 0);
    y = std::max(std::min(y, image.height - height), 0);
    return Rectangle{x, y, std::min(x + width, image.width), std::min(y + height, image.height)};
  };
  for (const auto& [x, y] : places) {
    const Rectangle tag = moved_inside(x, y);
    const bool free =
        std::none_of(taken.begin(), taken.end(), [&](const Rectangle& t) { return overlap(t, tag); });
    if (tag.y1 == y && free) return tag;
  }
  return above >= 0 ? moved_inside(left, above) : moved_inside(left, top);
}

void draw_labels(Image& image, std::vector<Label>& labels) {
  const Scale scale = scale_for(image);
  const Font font(scale.text);
  const int padding = std::max(2, scale.text / 5);
  std::vector<Rectangle> taken;
  for (Label& label : labels) {
    if (label.text.empty()) continue;
    label.tag = place_tag(image, label.box, font.width(label.text) + 2 * padding, font.height() + 2, taken);
    taken.push_back(label.tag);
  }
  constexpr Colour kBlack{0, 0, 0};
  for (auto label = labels.rbegin(); label != labels.rend(); ++label) {
    if (label->dashed) {
      draw_frame(image, label->box, scale.line, kBlack);
      draw_dashes(image, label->box, scale.line, label->colour);
      continue;
    }
    // A thin dark edge inside makes the frame visible on any background.
    draw_frame(image, label->box, scale.line + 1, kBlack, 0.45f);
    draw_frame(image, label->box, scale.line, label->colour);
  }
  for (auto label = labels.rbegin(); label != labels.rend(); ++label) {
    if (label->text.empty()) continue;
    const Rectangle& tag = label->tag;
    fill(image, tag, label->colour);
    font.draw(image, tag.x1 + padding, tag.y1 + 1, tag.x2, text_colour(label->colour), label->text);
  }
}

}  // namespace

Colour class_colour(int label) {
  static constexpr std::array<Colour, 12> kColours = {{{230, 57, 70},
                                                       {42, 157, 244},
                                                       {82, 196, 26},
                                                       {255, 183, 3},
                                                       {157, 78, 221},
                                                       {0, 200, 190},
                                                       {251, 111, 36},
                                                       {255, 102, 178},
                                                       {29, 78, 216},
                                                       {190, 220, 20},
                                                       {150, 90, 50},
                                                       {120, 130, 150}}};
  if (label >= 1 && label <= static_cast<int>(kColours.size()))
    return kColours[static_cast<size_t>(label - 1)];
  const float hue = std::fmod(std::abs(static_cast<float>(label)) * 0.618034f, 1.0f) * 6;
  const auto channel = [&](float offset) {
    const float k = std::fmod(offset + hue, 6.0f);
    return static_cast<uint8_t>(235 - 170 * std::clamp(std::min(k, 4 - k), 0.0f, 1.0f));
  };
  return {channel(5), channel(3), channel(1)};
}

void draw_boxes(Image& image, std::span<const DrawnBox> boxes) {
  std::vector<Label> labels;
  for (const DrawnBox& drawn : boxes)
    labels.push_back({to_pixels(drawn.box, image), drawn.colour, code_points(drawn.text), drawn.dashed});
  draw_labels(image, labels);
}

void draw_box(Image& image, const Box& box, Colour colour, std::string_view text) {
  const DrawnBox drawn{box, colour, std::string(text)};
  draw_boxes(image, {&drawn, 1});
}

void draw_detections(Image& image, std::span<const LabelledBox> boxes, std::span<const std::string> classes) {
  std::vector<DrawnBox> drawn;
  for (const LabelledBox& box : boxes) {
    const bool named = box.label >= 1 && static_cast<size_t>(box.label) <= classes.size();
    std::string text = named ? classes[static_cast<size_t>(box.label - 1)] : fmt::format("{}", box.label);
    if (box.score >= 0) text += fmt::format(" {:.2f}", box.score);
    drawn.push_back({box.box, class_colour(box.label), std::move(text)});
  }
  draw_boxes(image, drawn);
}

}  // namespace rcnn
