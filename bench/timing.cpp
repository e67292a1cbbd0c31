#include "bench/timing.h"

#include <algorithm>
#include <chrono>

#include "core/cuda/device.h"
#include "core/error.h"
#include "core/tensor.h"

namespace rcnn {

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.at(values.size() / 2);
}

Timing time_on_cpu(const std::function<void()>& work, double budget) {
  using Clock = std::chrono::steady_clock;
  const auto run = [&] {
    const auto start = Clock::now();
    work();
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  run();
  std::vector<double> seconds;
  for (double spent = 0; spent < budget || seconds.size() < 3; spent += seconds.back())
    seconds.push_back(run());
  return {median(seconds), false};
}

Timing time_on_gpu(const Context& ctx, const std::function<void()>& work, double budget) {
  constexpr double kBatch = 5e-3;  // seconds
  constexpr int kMaxRuns = 200;    // per batch
  cuda::Event begin(ctx.device, true), end(ctx.device, true);
  const auto measure = [&](const std::function<void()>& queue) {
    begin.record(ctx.stream);
    queue();
    end.record(ctx.stream);
    end.wait();
    return static_cast<double>(end.since(begin)) * 1e-3;
  };

  measure(work);  // warm-up: loads code, grows the workspace, makes plans
  const double once = measure(work);
  const int runs = std::clamp(static_cast<int>(kBatch / std::max(once, 1e-7)), 1, kMaxRuns);
  const auto batch = [&] {
    for (int i = 0; i < runs; ++i) work();
  };
  cuda::Graph graph;
  try {
    graph.capture(ctx.device, batch);
  } catch (const Error&) {
    // The work uploads more than a graph can hold, or a library makes a call that cannot be recorded.
  }
  const auto queue = [&] {
    if (graph.captured())
      graph.replay();
    else
      batch();
  };

  measure(queue);  // warm-up: raises the clock, uploads the graph to the device
  std::vector<double> seconds;
  for (double spent = 0; spent < budget || seconds.size() < 3;) {
    const double all = measure(queue);
    spent += all;
    seconds.push_back(all / runs);
  }
  return {median(seconds), graph.captured()};
}

double time_on_gpu_cold(const Context& ctx, const std::function<void()>& work, double budget) {
  constexpr int64_t kMoreThanL2 = int64_t{256} << 20;  // bytes; an H200 has 60 MiB
  constexpr int kQueued = 4;                           // runs; the host waits only after all of them
  const Tensor buffer = Tensor::empty({kMoreThanL2}, DType::u8, ctx.device);
  std::vector<cuda::Event> begin, end;
  for (int i = 0; i < kQueued; ++i) {
    begin.emplace_back(ctx.device, true);
    end.emplace_back(ctx.device, true);
  }
  work();
  std::vector<double> seconds;
  for (double spent = 0; spent < budget || seconds.size() < 3;) {
    for (size_t i = 0; i < begin.size(); ++i) {
      cuda::fill_bytes(ctx.device, buffer.mutable_raw(), 0, buffer.bytes());
      begin[i].record(ctx.stream);
      work();
      end[i].record(ctx.stream);
    }
    end.back().wait();
    for (size_t i = 0; i < begin.size(); ++i)
      spent += seconds.emplace_back(static_cast<double>(end[i].since(begin[i])) * 1e-3);
  }
  return median(seconds);
}

}  // namespace rcnn
