// A picture of the explained photograph: heat maps, boxes, arrows and points over it. The same drawing
// becomes SVG in the page, where it stays sharp, and pixels in a PNG file.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/box.h"
#include "data/draw.h"
#include "data/image.h"

namespace rcnn {

/// Something drawn over the layers. `at` holds the corners of a box, the ends of a line or an arrow, or in
/// its first two numbers the centre of a dot.
struct Mark {
  enum class Kind { box, line, arrow, dot };
  Kind kind = Kind::box;
  Box at = {};
  Colour colour = {};
  float width = 2;  // of the line, or the radius of a dot, in pixels of the screen
  bool dashed = false;
  std::string text = {};   // beside a box or a dot; plain text
  std::string title = {};  // shown by the pointer; plain text
};

/// Pixels stretched over an area.
struct DrawnLayer {
  Image pixels;
  Box place;
  float opacity = 1;
  bool smooth = false;  // interpolated; otherwise every pixel is seen as a rectangle
};

struct Drawing {
  double width = 1, height = 1;  // of its coordinates
  bool on_photo = true;          // the page's photograph, stretched over `photo`, is the background
  Box photo = {};
  std::vector<DrawnLayer> layers;
  std::vector<Mark> marks;
  /// The part that is shown; empty: all of it.
  Box view = {};
};

/// An <svg> element. `description` is its alternative text, plain. The photograph is the element with the id
/// "photo" of the page.
std::string drawing_svg(const Drawing& drawing, std::string_view description);
/// The photograph for a page with such elements, which comes before them.
std::string photo_definition(const Image& photo);
/// What the style sheet of such a page needs.
extern const std::string_view kDrawingStyle;
/// The same as pixels, with a longer side of about `side`.
Image drawing_image(const Drawing& drawing, const Image& photo, int side);

/// Clearly different colours for boxes on photographs, which repeat after 12.
Colour mark_colour(int index);
inline constexpr Colour kGreen{61, 220, 132}, kOrange{255, 122, 51}, kBlue{77, 181, 255},
    kWhite{255, 255, 255}, kGrey{170, 178, 190}, kYellow{255, 214, 64};

/// From black over red to yellow; `value` is between 0 and 1.
Colour heat_colour(float value);
/// A map of h x w numbers in heat colours, from `low` (black) to `high`.
Image heat_image(std::span<const float> values, int64_t h, int64_t w, float low, float high);

}  // namespace rcnn
