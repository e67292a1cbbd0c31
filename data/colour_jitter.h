// Brightness, contrast, saturation and hue of an image.
#pragma once

#include "data/image.h"

namespace rcnn {

/// The arguments of torchvision's functions with these names, each with its neutral value.
struct ColourFactors {
  float brightness = 1;  // multiplies every channel
  float contrast = 1;    // multiplies the distance from the image's mean grey
  float saturation = 1;  // multiplies the distance from the pixel's own grey
  float hue = 0;         // added to the hue of HSV, in circles, -.5 to .5
};

/// Changes the image by each factor that is not neutral, in the order of ColourFactors. Channels are clamped
/// to 0..255 after each change, and rounded once, at the end.
void change_colours(Image& image, const ColourFactors& factors);

}  // namespace rcnn
