// What every reader of data/label_forms.h must keep.
#pragma once

#include <cmath>

#include "core/text.h"
#include "data/label_forms.h"
#include "tests/fuzz/targets.h"

namespace rcnn::fuzz {

inline void check_objects(const std::vector<NamedObject>& objects) {
  for (const NamedObject& object : objects) {
    const Box& box = object.object.box;
    check(std::isfinite(box.x1) && std::isfinite(box.y1) && std::isfinite(box.x2) && std::isfinite(box.y2) &&
              box.x1 < box.x2 && box.y1 < box.y2,
          "a box is empty or not finite");
    check(!object.name.empty() && is_utf8(object.name), "an object has no name, or one that is not UTF-8");
  }
}

/// Reads a file and checks what is found.
inline void check_form(const std::filesystem::path& file, bool (*fits)(const std::filesystem::path&),
                       LabelledFile (*read)(const std::filesystem::path&)) {
  fits(file);  // must not throw
  const LabelledFile found = read(file);
  for (const Annotation& image : found.images) {
    check(image.said.width >= 0 && image.said.height >= 0, "an image has a negative size");
    check_objects(image.objects);
  }
  for (const Fault& fault : found.faults) check(!fault.what.empty(), "a fault says nothing");
}

}  // namespace rcnn::fuzz
