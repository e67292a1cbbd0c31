// Changes of an image together with its boxes.
#pragma once

#include <vector>

#include "data/dataset.h"
#include "data/image.h"

namespace rcnn {

/// Mirrors left and right: a box's x becomes width - x, exactly for coordinates at whole pixels.
void flip_horizontal(Image& image, std::vector<Object>& objects);

/// Mirrors top and bottom: a box's y becomes height - y.
void flip_vertical(Image& image, std::vector<Object>& objects);

/// Whole pixels: columns [x, x + width) and rows [y, y + height).
struct PixelArea {
  int x = 0, y = 0, width = 0, height = 0;
  bool operator==(const PixelArea&) const = default;
};

/// The part of an image that `area` covers; the area must lie inside the image.
Image crop(const Image& image, const PixelArea& area);

/// Fills `place` in `target` with the part of `source` that `window` covers: bilinear with half-pixel centres
/// and without antialiasing, like the network's own resizing. The window need not lie on whole pixels; beyond
/// the edge of the source, the pixels at the edge are repeated.
void draw_scaled(const Image& source, const Box& window, Image& target, const PixelArea& place);

/// The object in the pixels of the target when `window` of the source is drawn into `place`, with its box
/// clipped to the place. The area of its outline is scaled like the area of its box.
Object moved(const Object& object, const Box& window, const PixelArea& place);

}  // namespace rcnn
