// Profiles: the conventions of a system, as settings. What follows overrides them one by one.
#pragma once

#include <string_view>

#include "train/settings_file.h"

namespace rcnn {

/// The settings that make a model and its training those of `profile`: none for "torchvision", whose values
/// are the defaults; for "caffe2015" py-faster-rcnn's (Ren et al., end-to-end training of VGG16 on VOC 2007).
/// The sizes of anchors are among them only for models of one level. Three things stay as they are in
/// torchvision: the best so many proposals are taken before those that are too small are left out, the last
/// boxes are decoded and thinned out in pixels of the network's input, whose "+1" is less than a pixel of the
/// image, and a box that is not finite is dropped, not clipped.
Settings profile_settings(std::string_view profile, std::string_view model);

}  // namespace rcnn
