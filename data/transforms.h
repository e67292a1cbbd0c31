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

}  // namespace rcnn
