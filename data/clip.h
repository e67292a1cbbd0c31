// What every reader of annotations does with a box that reaches beyond its image.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "data/dataset.h"
#include "data/image.h"

namespace rcnn {

/// The part of a box that lies inside an image; nothing if no part does. If that is not the whole box,
/// `report` is called with a sentence that lacks its subject and contains `where`, which names the object:
/// "has a box partly outside the 40 x 30 image, object 2 (cat): 5 5 50 20; it is clipped".
std::optional<Box> clip_to_image(const Box& box, ImageSize image, const std::string& where,
                                 const std::function<void(FaultKind kind, const std::string& fault)>& report);

}  // namespace rcnn
