#include "report/explain_drawing.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "core/text.h"
#include "report/curve_labels.h"
#include "report/html.h"
#include "report/report.h"

namespace rcnn {

const std::string_view kDrawingStyle = R"css(
.plate { display: block; position: relative; border-radius: 10px; overflow: hidden; background: #0b0f16; }
.drawing { display: block; width: 100%; height: auto; max-height: 70vh; }
.drawing rect, .drawing line { fill: transparent; vector-effect: non-scaling-stroke; stroke-linecap: round; }
.drawing .edge { stroke: #000; stroke-opacity: .55; }
.drawing .cells { image-rendering: pixelated; }
.drawing .dot { stroke: #000; stroke-opacity: .8; stroke-width: 1.1px; vector-effect: non-scaling-stroke; }
.drawing text { font-weight: 650; paint-order: stroke; stroke: #0b0f16; stroke-opacity: .85; stroke-width: .22em;
                stroke-linejoin: round; }
@media screen and (max-width: 760px) { .drawing .dot { stroke-width: .5px; } }
)css";

namespace {

/// Maps of fewer cells are embedded without loss, so that each cell has sharp edges.
constexpr size_t kLosslessPixels = 2600;
constexpr float kDimmed = 0.6f;  // opacity of the black over what is not lit

std::string address_of(const Image& image) {
  if (image.rgb.size() / 3 > kLosslessPixels) return image_address(image);
  return "data:image/png;base64," + base64(encode_png(image));
}

std::string title_of(const Mark& mark) {
  return mark.title.empty() ? "" : fmt::format("<title>{}</title>", escape_html(mark.title));
}

/// The shape twice, first wider and dark, so that it is seen on any background; a pale one once.
std::string outlined(const std::string& shape, const Mark& mark) {
  const std::string line = fmt::format(R"(<{0} class="line" stroke="{1}" stroke-width="{2:.1f}")", shape,
                                       colour_text(mark.colour), mark.width);
  const std::string end = fmt::format(">{}</{}>", title_of(mark), shape.substr(0, shape.find(' ')));
  if (mark.opacity < 1) return fmt::format(R"({} stroke-opacity="{:.2f}"{})", line, mark.opacity, end);
  return fmt::format(R"(<{} class="edge" stroke-width="{:.1f}"/>{}{}{})", shape, mark.width + 2, line,
                     mark.dashed ? R"( stroke-dasharray="6 5")" : "", end);
}

/// The two short lines at the end of an arrow, at most `size` long, and shorter than half of it.
std::array<Box, 2> arrow_head(const Box& at, float size) {
  size = std::min(size, 0.45f * std::hypot(at.x2 - at.x1, at.y2 - at.y1));
  const float angle = std::atan2(at.y2 - at.y1, at.x2 - at.x1);
  const auto back = [&](float turn) {
    return Box{at.x2, at.y2, at.x2 - size * std::cos(angle + turn), at.y2 - size * std::sin(angle + turn)};
  };
  return {back(0.5f), back(-0.5f)};
}

Box view_of(const Drawing& drawing) {
  if (drawing.view.x2 > drawing.view.x1) return drawing.view;
  return {0, 0, static_cast<float>(drawing.width), static_cast<float>(drawing.height)};
}

/// Writes texts where they touch neither the border nor each other.
class Labels {
 public:
  explicit Labels(const Box& view) : view_(view), size_((view.x2 - view.x1) / 34) {}

  /// `text` above the box at its left, else below it, inside it, or at its right side, its middle and further
  /// away; left out if all these are taken.
  std::string beside(const Box& box, const std::string& text, Colour colour) {
    const float wide = size_ * 0.62f * static_cast<float>(utf8_count(text));
    const auto within = [&](float x) { return std::max(view_.x1, std::min(x, view_.x2 - wide)); };
    const float columns[] = {within(box.x1), within(box.x2 - wide), within((box.x1 + box.x2 - wide) / 2)};
    const float lines[] = {box.y1 - size_ * 0.25f, box.y2 + size_,         box.y1 + size_ * 1.05f,
                           box.y2 - size_ * 0.25f, box.y1 - size_ * 1.3f,  box.y2 + size_ * 2.05f,
                           box.y1 + size_ * 2.15f, box.y2 - size_ * 1.35f, (box.y1 + box.y2 + size_) / 2,
                           box.y1 + size_ * 3.25f, box.y2 - size_ * 2.45f};
    for (const float x : columns)
      for (const float y : lines) {
        const Box area{x, y - size_, x + wide, y + size_ * 0.1f};
        const bool inside = area.y1 >= view_.y1 && area.y2 <= view_.y2;
        if (!inside || std::any_of(taken_.begin(), taken_.end(), [&](const Box& t) {
              return t.x1 < area.x2 && area.x1 < t.x2 && t.y1 < area.y2 && area.y1 < t.y2;
            }))
          continue;
        taken_.push_back(area);
        return fmt::format(R"(<text x="{:.1f}" y="{:.1f}" font-size="{:.1f}" fill="{}">{}</text>)", x, y,
                           size_, colour_text(colour), escape_html(text));
      }
    return "";
  }

 private:
  Box view_;
  float size_;
  std::vector<Box> taken_;
};

std::string mark_svg(const Mark& mark, const Box& view) {
  const Box& at = mark.at;
  const auto line = [&](const Box& b) {
    return outlined(
        fmt::format(R"(line x1="{:.2f}" y1="{:.2f}" x2="{:.2f}" y2="{:.2f}")", b.x1, b.y1, b.x2, b.y2), mark);
  };
  std::string svg;
  switch (mark.kind) {
    case Mark::Kind::box:
      return outlined(fmt::format(R"(rect x="{:.2f}" y="{:.2f}" width="{:.2f}" height="{:.2f}")", at.x1,
                                  at.y1, std::max(0.0f, at.x2 - at.x1), std::max(0.0f, at.y2 - at.y1)),
                      mark);
    case Mark::Kind::line:
      return line(at);
    case Mark::Kind::arrow:
      svg = line(at);
      for (const Box& side : arrow_head(at, (view.x2 - view.x1) / 62)) svg += line(side);
      return svg;
    case Mark::Kind::dot:
      return fmt::format(R"(<circle cx="{:.2f}" cy="{:.2f}" r="{:.2f}" fill="{}" class="dot">{}</circle>)",
                         at.x1, at.y1, mark.width * (view.x2 - view.x1) / 560, colour_text(mark.colour),
                         title_of(mark));
  }
  return svg;
}

// ---- pixels

/// From the coordinates of a drawing to the pixels of an image.
struct Scaling {
  Box view;
  float scale;
  Box operator()(const Box& b) const {
    return {(b.x1 - view.x1) * scale, (b.y1 - view.y1) * scale, (b.x2 - view.x1) * scale,
            (b.y2 - view.y1) * scale};
  }
};

void paint(Image& image, const Image& pixels, const Box& place, float opacity, bool smooth) {
  if (pixels.width == 0 || !(place.x2 > place.x1) || !(place.y2 > place.y1)) return;
  const int top = std::max(0, static_cast<int>(std::lround(place.y1))),
            bottom = std::min(image.height, static_cast<int>(std::lround(place.y2)));
  const int left = std::max(0, static_cast<int>(std::lround(place.x1))),
            right = std::min(image.width, static_cast<int>(std::lround(place.x2)));
  const auto source = [&](float at, float low, float high, int size) {
    return (at + 0.5f - low) / (high - low) * static_cast<float>(size) - 0.5f;
  };
  for (int y = top; y < bottom; ++y)
    for (int x = left; x < right; ++x) {
      const float sy = source(static_cast<float>(y), place.y1, place.y2, pixels.height),
                  sx = source(static_cast<float>(x), place.x1, place.x2, pixels.width);
      const auto pixel = [&](int column, int row) {
        return pixels.pixel(std::clamp(column, 0, pixels.width - 1), std::clamp(row, 0, pixels.height - 1));
      };
      const int x0 = static_cast<int>(std::floor(sx)), y0 = static_cast<int>(std::floor(sy));
      const float fx = sx - static_cast<float>(x0), fy = sy - static_cast<float>(y0);
      uint8_t* to = image.pixel(x, y);
      for (int c = 0; c < 3; ++c) {
        const float value =
            smooth ? (1 - fy) * ((1 - fx) * pixel(x0, y0)[c] + fx * pixel(x0 + 1, y0)[c]) +
                         fy * ((1 - fx) * pixel(x0, y0 + 1)[c] + fx * pixel(x0 + 1, y0 + 1)[c])
                   : pixel(static_cast<int>(std::lround(sx)), static_cast<int>(std::lround(sy)))[c];
        to[c] = static_cast<uint8_t>(std::lround((1 - opacity) * to[c] + opacity * value));
      }
    }
}

/// A line with round ends, `width` pixels wide.
void paint_line(Image& image, const Box& at, Colour colour, float width, float opacity = 1) {
  const float dx = at.x2 - at.x1, dy = at.y2 - at.y1, length = dx * dx + dy * dy, half = width / 2;
  const auto limit = [](float value, int size) {
    return static_cast<int>(std::clamp(value, 0.0f, static_cast<float>(size)));
  };
  const int top = limit(std::min(at.y1, at.y2) - half - 1, image.height),
            bottom = limit(std::max(at.y1, at.y2) + half + 2, image.height),
            left = limit(std::min(at.x1, at.x2) - half - 1, image.width),
            right = limit(std::max(at.x1, at.x2) + half + 2, image.width);
  for (int y = top; y < bottom; ++y)
    for (int x = left; x < right; ++x) {
      const float px = static_cast<float>(x) + 0.5f - at.x1, py = static_cast<float>(y) + 0.5f - at.y1;
      const float along = length > 0 ? std::clamp((px * dx + py * dy) / length, 0.0f, 1.0f) : 0;
      const float cover = half + 0.5f - std::hypot(px - along * dx, py - along * dy);
      if (!(cover > 0)) continue;
      const float part = opacity * std::min(cover, 1.0f);
      uint8_t* to = image.pixel(x, y);
      const uint8_t from[3] = {colour.r, colour.g, colour.b};
      for (int c = 0; c < 3; ++c)
        to[c] = static_cast<uint8_t>(std::lround((1 - part) * to[c] + part * from[c]));
    }
}

/// A dark frame around what is lit.
void dim(Image& image, const Box& lit) {
  for (int y = 0; y < image.height; ++y)
    for (int x = 0; x < image.width; ++x) {
      const float px = static_cast<float>(x) + 0.5f, py = static_cast<float>(y) + 0.5f;
      if (px >= lit.x1 && px < lit.x2 && py >= lit.y1 && py < lit.y2) continue;
      uint8_t* pixel = image.pixel(x, y);
      for (int c = 0; c < 3; ++c)
        pixel[c] = static_cast<uint8_t>(std::lround((1 - kDimmed) * static_cast<float>(pixel[c])));
    }
}

}  // namespace

std::string drawing_svg(const Drawing& drawing, std::string_view description) {
  const Box view = view_of(drawing);
  std::string svg =
      fmt::format(R"(<svg class="drawing" viewBox="{:.1f} {:.1f} {:.1f} {:.1f}" role="img" aria-label="{}">)",
                  view.x1, view.y1, view.x2 - view.x1, view.y2 - view.y1, escape_html(description));
  if (drawing.on_photo) {
    const Box& p = drawing.photo;
    svg += fmt::format(
        R"svg(<use href="#photo" transform="translate({:.2f} {:.2f}) scale({:.5f} {:.5f})"/>)svg", p.x1, p.y1,
        (p.x2 - p.x1) / 1000, (p.y2 - p.y1) / 1000);  // the photograph is 1000 x 1000 in its own units
  }
  if (const Box& lit = drawing.lit; lit.x2 > lit.x1)  // one path: rectangles would show their seams
    svg += fmt::format(
        R"(<path fill-rule="evenodd" fill-opacity="{:.2f}" d="M{:.1f} {:.1f}H{:.1f}V{:.1f}H{:.1f}Z)"
        R"(M{:.1f} {:.1f}H{:.1f}V{:.1f}H{:.1f}Z"/>)",
        kDimmed, view.x1, view.y1, view.x2, view.y2, view.x1, lit.x1, lit.y1, lit.x2, lit.y2, lit.x1);
  for (const DrawnLayer& layer : drawing.layers)
    svg += fmt::format(
        R"(<image class="{}" x="{:.2f}" y="{:.2f}" width="{:.2f}" height="{:.2f}" opacity="{:.2f}" )"
        R"(preserveAspectRatio="none" href="{}"/>)",
        layer.smooth ? "smooth" : "cells", layer.place.x1, layer.place.y1, layer.place.x2 - layer.place.x1,
        layer.place.y2 - layer.place.y1, layer.opacity, address_of(layer.pixels));
  for (const Mark& mark : drawing.marks) svg += mark_svg(mark, view);
  Labels labels(view);
  for (const Mark& mark : drawing.marks)
    if (!mark.text.empty()) svg += labels.beside(mark.at, mark.text, mark.colour);
  return svg + "</svg>";
}

std::string photo_definition(const Image& photo) {
  return fmt::format(
      "<svg width=\"0\" height=\"0\" style=\"position:absolute\" aria-hidden=\"true\"><defs><image "
      "id=\"photo\" width=\"1000\" height=\"1000\" preserveAspectRatio=\"none\" href=\"{}\"/></defs></svg>\n",
      image_address(shrink_to_fit(photo, 1100)));
}

Image drawing_image(const Drawing& drawing, const Image& photo, int side) {
  const Box view = view_of(drawing);
  const float width = view.x2 - view.x1, height = view.y2 - view.y1;
  const Scaling to{view, static_cast<float>(side) / std::max(width, height)};
  Image image(std::max(1, static_cast<int>(std::lround(width * to.scale))),
              std::max(1, static_cast<int>(std::lround(height * to.scale))));
  if (drawing.on_photo) paint(image, photo, to(drawing.photo), 1, true);
  if (drawing.lit.x2 > drawing.lit.x1) dim(image, to(drawing.lit));
  for (const DrawnLayer& layer : drawing.layers)
    paint(image, layer.pixels, to(layer.place), layer.opacity, layer.smooth);
  std::vector<DrawnBox> boxes;
  for (const Mark& mark : drawing.marks) {
    const Box at = to(mark.at);
    if (mark.kind != Mark::Kind::box) continue;
    if (mark.opacity == 1) boxes.push_back({at, mark.colour, mark.text, mark.dashed});
    for (const Box& edge : {Box{at.x1, at.y1, at.x2, at.y1}, Box{at.x1, at.y2, at.x2, at.y2},
                            Box{at.x1, at.y1, at.x1, at.y2}, Box{at.x2, at.y1, at.x2, at.y2}})
      if (mark.opacity < 1) paint_line(image, edge, mark.colour, mark.width, mark.opacity);
  }
  draw_boxes(image, boxes);
  for (const Mark& mark : drawing.marks) {
    const Box at = to(mark.at);
    if (mark.kind == Mark::Kind::line || mark.kind == Mark::Kind::arrow)
      paint_line(image, at, mark.colour, mark.width);
    if (mark.kind == Mark::Kind::arrow)
      for (const Box& head : arrow_head(at, static_cast<float>(side) / 60))
        paint_line(image, head, mark.colour, mark.width);
    if (mark.kind == Mark::Kind::dot) {
      const float size = 2 * mark.width * static_cast<float>(side) / 560;
      paint_line(image, {at.x1, at.y1, at.x1, at.y1}, Colour{0, 0, 0}, size + 2);  // the rim
      paint_line(image, {at.x1, at.y1, at.x1, at.y1}, mark.colour, size);
    }
  }
  return image;
}

Colour mark_colour(int index) {
  constexpr std::array<Colour, 12> kColours = {{{61, 220, 132},
                                                {77, 181, 255},
                                                {255, 122, 51},
                                                {255, 214, 64},
                                                {255, 110, 199},
                                                {150, 120, 255},
                                                {64, 224, 208},
                                                {255, 80, 80},
                                                {180, 230, 80},
                                                {255, 170, 150},
                                                {120, 200, 160},
                                                {210, 210, 255}}};
  return kColours[static_cast<size_t>(index) % kColours.size()];
}

Colour heat_colour(float value) {
  constexpr std::array<std::array<float, 3>, 9> kStops = {{{0, 0, 4},
                                                           {31, 12, 72},
                                                           {85, 15, 109},
                                                           {136, 34, 106},
                                                           {186, 54, 85},
                                                           {227, 89, 51},
                                                           {249, 140, 10},
                                                           {249, 201, 50},
                                                           {252, 255, 164}}};
  const float at = !(value > 0) ? 0 : std::min(value, 1.0f) * 8;
  const auto low = std::min<size_t>(7, static_cast<size_t>(at));
  const float part = at - static_cast<float>(low);
  const auto mix = [&](size_t c) {
    return static_cast<uint8_t>(std::lround((1 - part) * kStops[low][c] + part * kStops[low + 1][c]));
  };
  return {mix(0), mix(1), mix(2)};
}

Box cells_place(int64_t y1, int64_t x1, int64_t y2, int64_t x2, float stride) {
  const auto edge = [&](int64_t cell) { return (static_cast<float>(cell) - 0.5f) * stride; };
  return {edge(x1), edge(y1), edge(x2), edge(y2)};
}

int64_t cell_at(float position, int stride, int64_t count) {
  return std::clamp<int64_t>(std::lround(position / static_cast<float>(stride)), 0, count - 1);
}

Box view_around(const Drawing& drawing, const Box& box, float margin) {
  const float more = margin * std::max(box.x2 - box.x1, box.y2 - box.y1);
  return {std::max(0.0f, box.x1 - more), std::max(0.0f, box.y1 - more),
          std::min(static_cast<float>(drawing.width), box.x2 + more),
          std::min(static_cast<float>(drawing.height), box.y2 + more)};
}

std::string colour_text(Colour colour) {
  return fmt::format("#{:02x}{:02x}{:02x}", colour.r, colour.g, colour.b);
}

Image heat_image(std::span<const float> values, int64_t h, int64_t w, float low, float high) {
  Image image(static_cast<int>(w), static_cast<int>(h));
  for (size_t i = 0; i < values.size(); ++i) {
    const Colour colour = heat_colour(high > low ? (values[i] - low) / (high - low) : 0);
    uint8_t* pixel = image.rgb.data() + i * 3;
    pixel[0] = colour.r, pixel[1] = colour.g, pixel[2] = colour.b;
  }
  return image;
}

}  // namespace rcnn
