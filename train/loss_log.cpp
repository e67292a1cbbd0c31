#include "train/loss_log.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "core/error.h"

namespace rcnn {

void LossLog::add(int64_t step, float learning_rate, const Losses& losses, const Tensor& norm) {
  entries_.push_back({step, learning_rate, losses, norm.clone()});
}

void LossLog::flush(JsonLines& lines, Progress& progress, bool ends) {
  const int64_t newest = entries_.empty() ? 0 : entries_.back().step;
  for (const Entry& e : entries_) {
    nlohmann::ordered_json line{{"step", e.step}};
    last_.clear();
    std::string bad;
    for (const LossTerm& term : kLosses) {
      const Var& loss = e.losses.*term.value;
      if (!loss.defined()) continue;  // of a part that is not trained
      const auto value = static_cast<double>(loss.value().to(Device{}).item<float>());
      line[term.key] = value;
      last_.emplace_back(term.key, value);
      if (!std::isfinite(value)) bad = term.key;
    }
    const auto norm = static_cast<double>(e.norm.to(Device{}).item<float>());
    line["gradient_norm"] = norm;
    line["lr"] = static_cast<double>(e.learning_rate);
    lines.write(line);
    const bool skipped = !std::isfinite(norm);
    lost_ = skipped || !bad.empty() ? lost_ + 1 : 0;
    if (lost_ > 0)
      progress.message(fmt::format("step {}: {} is not finite{}", e.step,
                                   bad.empty() ? "the gradient" : "the term " + bad,
                                   skipped ? "; the step was skipped" : ""));
    if (lost_ == 1) progress.message("  " + explain_(e.step));
    if (lost_ == 0) watch(e.step, last_.front().second, progress);
  }
  entries_.clear();
  if (lost_ >= kMaxLost || (ends && lost_ > 1))
    throw Error(fmt::format(
        "steps {} to {}: no loss was finite; training stopped. A lower --lr or --clip-norm may help; "
        "the last checkpoint is intact",
        newest - lost_ + 1, newest));
}

/// Warns once when the loss grows: the learning rate is too large long before anything overflows.
void LossLog::watch(int64_t step, double loss, Progress& progress) {
  constexpr size_t kFirst = 20;
  constexpr double kGrown = 2, kShare = 0.05;
  if (first_losses_.size() < kFirst) {
    first_losses_.push_back(loss);
    recent_loss_ = std::accumulate(first_losses_.begin(), first_losses_.end(), 0.0) /
                   static_cast<double>(first_losses_.size());
    return;
  }
  recent_loss_ += kShare * (loss - recent_loss_);
  const double first = std::accumulate(first_losses_.begin(), first_losses_.end(), 0.0) / kFirst;
  if (warned_ || !(recent_loss_ > kGrown * first)) return;
  warned_ = true;
  progress.message(fmt::format(
      "step {}: the loss has grown from {:.3f} to {:.3f}; a lower --lr would probably train better", step,
      first, recent_loss_));
}

}  // namespace rcnn
