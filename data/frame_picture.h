// A picture that shows a person which frame the boxes of an image are in, where no number tells it.
#pragma once

#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/image.h"

namespace rcnn {

/// An image that its EXIF entry turns, twice, side by side, under the option that reads it so: on the left as
/// it is seen, with the boxes of `seen`, which was read with --exif-boxes seen; on the right as it is stored,
/// with those of `stored`, read with --exif-boxes stored. Large images are made smaller. Throws InputError if
/// the image cannot be read.
Image draw_both_frames(const Sample& seen, const Sample& stored, const std::vector<std::string>& classes);

/// Whether the two readings of an image differ, so that there is something to see.
bool frames_differ(const Sample& seen, const Sample& stored);

}  // namespace rcnn
