#include "data/annotation.h"

#include <cmath>

#include "core/text.h"
#include "tests/fuzz/targets.h"

void rcnn::fuzz::annotation(const std::filesystem::path& file) {
  std::vector<Fault> faults;
  const std::optional<Annotation> annotation = read_annotation(file, faults);
  // Not the other way round: a file in an unknown encoding is an annotation that cannot be read.
  check(!annotation || is_annotation_file(file), "the two readers disagree");
  if (!annotation) return check(!faults.empty(), "nothing was read, but no fault was reported");
  for (const NamedObject& object : annotation->objects) {
    const Box& box = object.object.box;
    check(std::isfinite(box.x1) && std::isfinite(box.y1) && box.x1 < box.x2 && box.y1 < box.y2,
          "a box is empty or not finite");
    check(!object.name.empty(), "an object has no name");
    check(is_utf8(object.name), "the name of a class is not UTF-8");
  }
}
