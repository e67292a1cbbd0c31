// Small datasets of cats and dogs.
#pragma once

#include <utility>
#include <vector>

#include "eval/matching.h"

namespace rcnn::fixtures {

inline constexpr int kCat = 1, kDog = 2;

inline Dataset dataset_of(std::vector<std::vector<Object>> images,
                          std::vector<std::string> classes = {"cat", "dog"}) {
  Dataset dataset;
  dataset.classes = std::move(classes);
  for (std::vector<Object>& objects : images) {
    dataset.samples.emplace_back();
    dataset.samples.back().objects = std::move(objects);
  }
  return dataset;
}

/// A box of 10 x 10 pixels in row `row` of a column of boxes that do not touch each other.
inline Box cell(int row, float x = 0) {
  const auto y = static_cast<float>(20 * row);
  return {x, y, x + 10, y + 10};
}

}  // namespace rcnn::fixtures
