#include "train/ema.h"

#include <algorithm>

#include "kernels/ema.h"

namespace rcnn {

Ema::Ema(Context& ctx, std::vector<Entry> entries, float decay)
    : decay_(decay), entries_(std::move(entries)), device_decay_(ctx.zeros({})) {
  std::vector<kernels::EmaTensor> list;
  for (Entry& entry : entries_) {
    entry.average = entry.value.clone();
    list.push_back({entry.value.data<float>(), entry.average.mutable_data<float>(), entry.value.numel()});
  }
  chunks_ = kernels::number_chunks(list);
  table_ = bytes_of(std::span<const kernels::EmaTensor>(list)).to(ctx.device);
}

void Ema::update(Context& ctx, const Sgd& sgd, int64_t step) {
  const double rising = static_cast<double>(1 + step) / static_cast<double>(10 + step);
  device_decay_.fill(std::min(static_cast<double>(decay_), rising));
  kernels::run(ctx, kernels::ema,
               kernels::EmaArgs{static_cast<const kernels::EmaTensor*>(table_.raw()),
                                static_cast<int64_t>(entries_.size()), chunks_, device_decay_.data<float>(),
                                sgd.skip().data<int32_t>()});
  for (const Entry& entry : entries_) entry.average.mutable_raw();  // written to
}

void Ema::swap() {
  for (const Entry& entry : entries_) {
    const Tensor kept = entry.value.clone();
    entry.value.copy_from(entry.average);
    entry.average.copy_from(kept);
  }
}

}  // namespace rcnn
