// A picture explained by a small network of random weights, for the tests of `explain`.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "report/explain.h"
#include "tests/models/models.h"

namespace rcnn::fixtures {

inline Detector small_detector(const std::string& norm) {
  return {std::make_unique<FasterRcnn>(small_model("nano-fpn", norm, 3)), {"cat", "dog"}};
}

inline std::vector<Object> two_objects() {
  std::vector<Object> objects = {{{8, 6, 40, 44}, 1}, {{50, 20, 90, 60}, 2}, {{60, 2, 80, 12}, 1}};
  objects[2].difficult = true;
  return objects;
}

/// The explanation of a picture by a network of random weights, with and without ground truth.
struct Explained {
  Context ctx;
  Detector detector = small_detector("group");
  Image image = smooth_image(96, 72);
  Explanation result;
  nlohmann::json numbers;

  explicit Explained(bool objects, const std::string& name = "a photo.png") {
    ExplainOptions options;
    options.name = name;
    options.score = 0.05f;
    if (objects) options.objects = two_objects();
    result = explain(ctx, detector, image, options);
    numbers = nlohmann::json::parse(result.numbers);
  }
  const nlohmann::json& of(const std::string& chapter) const {
    return numbers["chapters"][chapter]["numbers"];
  }
};

inline bool close(const nlohmann::json& a, const nlohmann::json& b, double tolerance) {
  return std::fabs(a.get<double>() - b.get<double>()) <=
         tolerance * std::max(1.0, std::fabs(b.get<double>()));
}

}  // namespace rcnn::fixtures
