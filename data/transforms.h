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

/// Whole pixels: columns from `x` up to but without x + width, rows likewise.
struct PixelArea {
  int x = 0, y = 0, width = 0, height = 0;
  bool operator==(const PixelArea&) const = default;
};

/// The part of an image that `area`, which must lie in it, covers.
Image crop(const Image& image, const PixelArea& area);

/// Fills `place` of `target` with what `window` covers of `source`: bilinear by the half-pixel rule, without
/// antialiasing, as the network's own resizing. The window need not lie on whole pixels; where it reaches
/// over the source's edge, the edge's pixels are repeated.
void draw_scaled(const Image& source, const Box& window, Image& target, const PixelArea& place);

/// Where `window` comes to lie in `place`: a box of the source in the target's pixels, clipped to the place.
/// The area of the object's outline goes along with the box's.
Object moved(const Object& object, const Box& window, const PixelArea& place);

}  // namespace rcnn
