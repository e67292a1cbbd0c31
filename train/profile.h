// Profiles: the conventions of a system, as settings. What follows overrides them one by one.
#pragma once

#include <string_view>

#include "train/settings_file.h"

namespace rcnn {

/// The settings that make a model and its training those of `profile`: none for "torchvision", whose values
/// are the defaults; for "caffe2015" py-faster-rcnn's (Ren et al., end-to-end training of VGG16 on VOC 2007).
/// The sizes of anchors are among them only for models of one level.
Settings profile_settings(std::string_view profile, std::string_view model);

}  // namespace rcnn
