#include "core/op_profile.h"

#include <fmt/format.h>

namespace rcnn {

OpProfile::OpProfile(Context& ctx) : ctx_(ctx), on_gpu_(ctx.device.type == DeviceType::cuda) {
  ctx_.profiler = [this](const char* op, const char* variant, bool begins) {
    if (begins) {
      calls_.push_back({fmt::format("{} ({})", op, variant)});
      while (on_gpu_ && events_.size() < 2 * calls_.size()) events_.emplace_back(ctx_.device, true);
    }
    if (on_gpu_)
      events_[2 * calls_.size() - (begins ? 2 : 1)].record(ctx_.stream);
    else if (begins)
      start_ = Clock::now();
    else
      calls_.back().duration = Clock::now() - start_;
  };
}

OpProfile::~OpProfile() { ctx_.profiler = nullptr; }

void OpProfile::collect() {
  for (size_t i = 0; i < calls_.size(); ++i) {
    Entry& entry = ops_[calls_[i].name];
    entry.seconds += on_gpu_ ? static_cast<double>(events_[2 * i + 1].since(events_[2 * i])) * 1e-3
                             : std::chrono::duration<double>(calls_[i].duration).count();
    ++entry.calls;
  }
  calls_.clear();
}

}  // namespace rcnn
