// The losses of a run's steps: written to the metrics, checked, and explained if they are not finite.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "models/faster_rcnn.h"
#include "train/json_lines.h"
#include "train/progress.h"

namespace rcnn {

/// Keeps the losses of steps whose values have not been read yet. Reading waits for the device, so it is left
/// to `flush`.
class LossLog {
 public:
  /// `explain(step)` returns a sentence that names the first value of a step that is not finite. It is called
  /// once for each sequence of such steps.
  explicit LossLog(std::function<std::string(int64_t step)> explain) : explain_(std::move(explain)) {}

  /// Takes the losses of step number `step`, counted from 1, and the gradient norm before clipping.
  void add(int64_t step, float learning_rate, const Losses& losses, const Tensor& norm);

  /// Writes one line per step and forgets the steps. Throws Error if the last kMaxLost steps, or more than
  /// one step at the end of the run (`ends`), were not finite, because the model no longer learns anything.
  void flush(JsonLines& lines, Progress& progress, bool ends);

  /// The values of the last step whose losses were read.
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
  int64_t lost_ = 0;  // the length of the sequence of steps that were not finite, up to the last one read
  std::vector<double> first_losses_;
  double recent_loss_ = 0;  // running mean
  bool warned_ = false;
};

}  // namespace rcnn
