#include "core/cuda/recorded_work.h"

#include <atomic>

namespace rcnn {
namespace {

std::atomic<uint64_t> runs_begun_or_ended;

struct Run {
  Run() { ++runs_begun_or_ended; }
  ~Run() { ++runs_begun_or_ended; }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;
};

}  // namespace

uint64_t recorded_runs() { return runs_begun_or_ended; }

RecordedWork::RecordedWork(const Context& like, bool records)
    : records_(records && like.device.type == DeviceType::cuda) {
  if (records_) arena_ = std::make_shared<cuda::Arena>(like.device, true);
  const auto make = [&] {
    context_ = std::make_unique<Context>(like.device);
    context_->precision = like.precision;
    context_->seed = like.seed;
    context_->kernels = like.kernels;
    context_->step = like.step;  // they share a storage: setting one sets the other
  };
  if (records_) {
    const cuda::ArenaScope scope(like.device, arena_);
    make();
  } else {
    make();
  }
}

void RecordedWork::run(const std::function<void(Context&)>& work) {
  if (!records_) return work(*context_);
  const Run counted;
  constexpr int kRunsBefore = 2;
  if (!graph_.captured()) {
    const cuda::ArenaScope scope(context_->device, arena_);
    if (runs_ < kRunsBefore) {
      const size_t before = arena_->reserved();
      work(*context_);
      // The last run before the capture must find all its memory in the arena, because nothing can be
      // allocated during the capture.
      if (++runs_ == kRunsBefore && arena_->reserved() != before) --runs_;
      return;
    }
    graph_.capture(context_->device, [&] { work(*context_); });
  }
  graph_.replay();
}

}  // namespace rcnn
