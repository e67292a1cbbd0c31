// Profiles: the conventions of another implementation as settings, each of which may be overridden.
#pragma once

#include <string_view>

#include "train/settings_file.h"

namespace rcnn {

/// The settings that give a model and its training the conventions of `profile`. For "torchvision" there are
/// none, because the defaults are torchvision's. For "caffe2015" they are those of py-faster-rcnn (Ren et
/// al., end-to-end training of VGG16 on VOC 2007). Anchor sizes are included only for models with one level.
///
/// With "caffe2015" three things remain as in torchvision: the top-scoring proposals are selected before
/// small ones are dropped; detections are decoded and suppressed in pixels of the network's input, whose "+1"
/// is less than a pixel of the image; and a box that is not finite is dropped, not clipped.
Settings profile_settings(std::string_view profile, std::string_view model);

}  // namespace rcnn
