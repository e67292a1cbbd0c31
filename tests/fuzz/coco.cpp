#include "data/coco.h"

#include <cmath>

#include "tests/fuzz/targets.h"

void rcnn::fuzz::coco(const std::filesystem::path& file) {
  try {
    for (const CocoResult& result : read_coco_results(file))
      check(std::isfinite(result.x + result.y + result.width + result.height) && !std::isnan(result.score),
            "a detection is not finite");
  } catch (const InputError&) {  // the input may be a file of ground truth instead of results
  }
  is_coco_file(file);
  for (const CocoAnnotation& annotation : read_coco_file(file).annotations)
    check(std::isfinite(annotation.x + annotation.y + annotation.width + annotation.height),
          "a box is not finite");
}
