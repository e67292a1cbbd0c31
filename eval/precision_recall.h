// The precision-recall curve of a class, on which every average precision of this program is computed.
//
// Recall grows only where a detection is right, and a wrong one lowers precision, so the curve has a point at
// each right detection and none elsewhere. Precision there is made monotone: the best at that recall or a
// larger one.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace rcnn {

class PrecisionRecall {
 public:
  /// A curve without detections, for `asked` objects. `epsilon` is added to the number of detections, as
  /// COCO's evaluator does.
  void begin(double asked, double epsilon) {
    precision_.clear();
    recall_.clear();
    asked_ = asked;
    epsilon_ = epsilon;
    found_ = right_ = 0;
  }
  /// The next detection, best first, which counts `weight` times.
  void add(double weight, bool right) {
    found_ += weight;
    if (!right || weight == 0) return;
    right_ += weight;
    precision_.push_back(right_ / (found_ + epsilon_));
    recall_.push_back(right_ / asked_);
  }
  /// Ends the list of detections; to be called before the figures below.
  void finish() {
    for (size_t i = precision_.size(); i-- > 1;)
      precision_[i - 1] = std::max(precision_[i - 1], precision_[i]);
  }

  /// The weight of the right detections.
  double right() const { return right_; }
  /// The area under the curve.
  double area() const {
    double sum = 0, last_recall = 0;
    for (size_t i = 0; i < recall_.size(); ++i) {
      sum += (recall_[i] - last_recall) * precision_[i];
      last_recall = recall_[i];
    }
    return sum;
  }
  /// The mean precision at `count` points of recall, `point(0)` to `point(count - 1)`, ascending; 0 where the
  /// curve does not reach one.
  template <class Point>
  double mean_at(int count, const Point& point) const {
    double sum = 0;
    size_t i = 0;
    for (int k = 0; k < count; ++k) {
      while (i < recall_.size() && recall_[i] < point(k)) ++i;
      if (i < recall_.size()) sum += precision_[i];
    }
    return sum / count;
  }

 private:
  std::vector<double> precision_, recall_;
  double asked_ = 0, epsilon_ = 0, found_ = 0, right_ = 0;
};

}  // namespace rcnn
