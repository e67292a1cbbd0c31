// The losses of a run's steps: written down, watched, and explained where they are not finite.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "models/faster_rcnn.h"
#include "train/json_lines.h"
#include "train/progress.h"

namespace rcnn {

/// Keeps the losses of steps whose values were not read yet: reading waits for the device, so it is done when
/// it logs.
class LossLog {
 public:
  /// `explain(step)` says in a sentence where the first number that is not finite of a step stands; called
  /// once for each row of such steps.
  explicit LossLog(std::function<std::string(int64_t step)> explain) : explain_(std::move(explain)) {}

  /// The losses of step number `step`, counted from 1, and the gradient's norm before clipping.
  void add(int64_t step, float learning_rate, const Losses& losses, const Tensor& norm);

  /// Writes a line a step and forgets them. Throws Error when the last kMaxLost steps, or the last of the
  /// run
  /// (`ends`), were not finite: nothing is learned any more.
  void flush(JsonLines& lines, Progress& progress, bool ends);

  /// The values of the last step that was read.
  const NamedValues& last() const { return last_; }
  /// Whether that step was finite.
  bool finite() const { return lost_ == 0; }

  static constexpr int64_t kMaxLost = 10;

 private:
  struct Entry {
    int64_t step;
    float learning_rate;
    Losses losses;
    Tensor norm;
  };

  void watch(int64_t step, double loss, Progress& progress);

  std::function<std::string(int64_t)> explain_;
  std::vector<Entry> entries_;
  NamedValues last_;
  int64_t lost_ = 0;  // steps in a row that were not finite, up to the last that was read
  std::vector<double> first_losses_;
  double recent_loss_ = 0;  // a running mean
  bool warned_ = false;
};

}  // namespace rcnn
