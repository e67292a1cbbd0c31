// Draws boxes with class names into an image, with a font that is part of the program.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "data/dataset.h"
#include "data/image.h"

namespace rcnn {

struct Colour {
  uint8_t r = 0, g = 0, b = 0;
  bool operator==(const Colour&) const = default;
};

/// A colour for the class `label`. The first twelve differ clearly; further ones are spread over the hues.
Colour class_colour(int label);

/// Draws one box (in pixels of the image, clipped to it) and, unless `text` is empty, its text on a filled
/// tag. Line width and font grow with the image. The text is UTF-8.
void draw_box(Image& image, const Box& box, Colour colour, std::string_view text);

/// A box as `draw_box` draws it. A dashed line has black gaps, so that it is visible on any background.
struct DrawnBox {
  Box box;
  Colour colour;
  std::string text = {};
  bool dashed = false;
};

/// Draws every box. The tags lie inside the image and, if there is room, do not overlap. Earlier boxes are on
/// top.
void draw_boxes(Image& image, std::span<const DrawnBox> boxes);

/// A box with a class. A negative `score` is not written, as for ground truth.
struct LabelledBox {
  Box box;
  int label = 0;
  float score = -1;
};

/// `draw_boxes` with the colour of each class and the text "name 0.97". Pass the boxes in order of decreasing
/// score. Label l has the name classes[l - 1]; a label without a name is written as a number.
void draw_detections(Image& image, std::span<const LabelledBox> boxes, std::span<const std::string> classes);

}  // namespace rcnn
