#include "core/op_profile.h"

#include <fmt/format.h>

#include "core/memory.h"

namespace rcnn {

OpProfile::OpProfile(Context& ctx, Describe describe)
    : ctx_(ctx), describe_(std::move(describe)), on_gpu_(ctx.device.type == DeviceType::cuda) {
  if (on_gpu_) {
    events_.emplace_back(ctx.device, true);
    events_[0].record(ctx.stream);
  }
  reset_peak_memory(ctx.device);
  began_ = Clock::now();
  ctx_.observer = this;
}

OpProfile::~OpProfile() { ctx_.observer = nullptr; }

void OpProfile::op_begins(const OpCall& call) {
  current_ = {.op = call.op, .layer = call.layer};
  if (describe_) describe_(call, current_);
  if (on_gpu_) {
    while (events_.size() < 2 * running_.size() + 3) events_.emplace_back(ctx_.device, true);
    events_[2 * running_.size() + 1].record(ctx_.stream);
  }
  start_ = Clock::now();
}

void OpProfile::op_ends(const OpCall& call) {
  const Clock::time_point end = Clock::now();
  if (on_gpu_) events_[2 * running_.size() + 2].record(ctx_.stream);
  current_.variant = call.variant;
  current_.start = std::chrono::duration<double>(start_ - began_).count();
  current_.seconds = std::chrono::duration<double>(end - start_).count();
  current_.memory = memory_in_use(ctx_.device);
  current_.peak = peak_memory(ctx_.device);
  reset_peak_memory(ctx_.device);
  running_.push_back(std::move(current_));
}

void OpProfile::collect() {
  for (size_t i = 0; i < running_.size(); ++i) {
    Call& call = running_[i];
    if (on_gpu_) {
      call.start = static_cast<double>(events_[2 * i + 1].since(events_[0])) * 1e-3;
      call.seconds = static_cast<double>(events_[2 * i + 2].since(events_[2 * i + 1])) * 1e-3;
    }
    calls_.push_back(std::move(call));
  }
  running_.clear();
}

std::map<std::string, OpProfile::Entry> OpProfile::ops() const {
  std::map<std::string, Entry> ops;
  for (const Call& call : calls_) {
    Entry& entry = ops[fmt::format("{} ({})", call.op, call.variant)];
    entry.seconds += call.seconds;
    ++entry.calls;
  }
  return ops;
}

}  // namespace rcnn
