#include "train/ema.h"

#include <algorithm>

#include "kernels/optim/moving_average.h"

namespace rcnn {

Ema::Ema(Context& ctx, std::vector<Average> averages, float decay)
    : averages_(std::move(averages)), decay_(decay), share_(ctx.zeros({})) {
  std::vector<kernels::Averaged> table;
  for (Average& a : averages_) {
    a.average = a.value.clone();
    table.push_back({a.average.mutable_data<float>(), a.value.data<float>(), a.value.numel()});
  }
  chunks_ = kernels::number_chunks(table);
  table_ = bytes_of(std::span<const kernels::Averaged>(table)).to(ctx.device);
}

float Ema::decay_at(float decay, int64_t step) {
  const auto t = static_cast<double>(step);
  return std::min(decay, static_cast<float>((1 + t) / (10 + t)));
}

void Ema::update(Context& ctx, int64_t step, const Tensor& skipped) {
  check(!swapped_, "the averages of the weights cannot be updated while they are swapped with the weights");
  share_.fill(1 - static_cast<double>(decay_at(decay_, step)));
  for (const Average& a : averages_) a.average.mark_written();
  const LayerScope layer(ctx, "ema");
  kernels::run(ctx, kernels::moving_average,
               kernels::MovingAverageArgs{.tensors = static_cast<const kernels::Averaged*>(table_.raw()),
                                          .count = static_cast<int64_t>(averages_.size()),
                                          .chunks = chunks_,
                                          .share = share_.data<float>(),
                                          .skip = skipped.data<int32_t>()});
}

void Ema::swap() {
  for (const Average& a : averages_) {
    const Tensor kept = a.value.clone();
    a.value.copy_from(a.average);
    a.average.copy_from(kept);
  }
  swapped_ = !swapped_;
}

}  // namespace rcnn
