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
  float opacity = 1;       // of a box
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
  /// The photograph is dimmed outside of this; empty: nowhere.
  Box lit = {};
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
/// Where the cells of rows [y1, y2) and columns [x1, x2) of a map are drawn over the network's input, of
/// which `stride` pixels lie between two cells. The value of a cell is that at the point `stride` times its
/// row and column: there RoIAlign samples it (kernels/roi/roi_align_math.h, without `aligned`), RoIPool
/// rounds to it, and anchors are centred (those of the Caffe code of 2015 half a cell further). So a cell is
/// drawn centred on that point, and half of the first row and column is outside.
Box cells_place(int64_t y1, int64_t x1, int64_t y2, int64_t x2, float stride);
/// That of a whole map of h x w cells.
inline Box map_place(int64_t h, int64_t w, int stride) {
  return cells_place(0, 0, h, w, static_cast<float>(stride));
}
/// The row or column, of `count`, whose point is the closest to a position in pixels of the input.
int64_t cell_at(float position, int stride, int64_t count);

/// The part of a drawing around a box, with this share of its longer side as a margin; what is outside of the
/// drawing is left out.
Box view_around(const Drawing& drawing, const Box& box, float margin);

/// "#3ddc84"
std::string colour_text(Colour colour);

}  // namespace rcnn
