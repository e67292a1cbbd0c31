#include "bench/timing.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/cuda/device.h"
#include "core/error.h"
#include "core/tensor.h"

namespace rcnn {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.at(values.size() / 2);
}

double quantile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  const auto rank = static_cast<size_t>(std::lround(share * static_cast<double>(values.size() - 1)));
  return values.at(rank);
}

double relative_error_of_median(const std::vector<double>& values) {
  if (values.size() < 2) return std::numeric_limits<double>::infinity();
  const double middle = median(values);
  std::vector<double> deviations;
  for (const double value : values) deviations.push_back(std::fabs(value - middle));
  // For normal numbers the standard deviation is 1.4826 median absolute deviations, and the standard error of
  // the median is sqrt(pi / 2) that of the mean.
  const double deviation = 1.4826 * median(deviations);
  return std::sqrt(std::acos(-1.0) / 2 / static_cast<double>(values.size())) * deviation / middle;
}

void collect(const Sampler& sampler, const StopRule& rule, std::vector<double>& seconds) {
  constexpr size_t kFew = 3, kEnough = 32;
  const size_t before = seconds.size();
  double spent = 0;
  for (;;) {
    spent += sampler.take(seconds);
    const size_t taken = seconds.size() - before;
    if (taken < kFew) continue;
    if (spent >= rule.seconds) return;
    const bool doubled = taken >= kEnough && (taken & (taken - 1)) == 0;
    if (rule.noise > 0 && doubled) {
      const std::vector<double> taken_now(seconds.begin() + static_cast<std::ptrdiff_t>(before),
                                          seconds.end());
      if (relative_error_of_median(taken_now) <= rule.noise) return;
    }
  }
}

Timing timing_of(const std::vector<std::vector<double>>& rounds, bool graph) {
  std::vector<double> all, medians;
  for (const std::vector<double>& round : rounds) {
    if (round.empty()) continue;
    all.insert(all.end(), round.begin(), round.end());
    medians.push_back(median(round));
  }
  const double middle = median(all);
  const auto [low, high] = std::minmax_element(medians.begin(), medians.end());
  return {.seconds = middle,
          .p10 = quantile(all, 0.1),
          .p90 = quantile(all, 0.9),
          .noise = std::max(relative_error_of_median(all), (*high - *low) / 2 / middle),
          .samples = all.size(),
          .graph = graph,
          .rounds = medians};
}

double min_change(double noise, double other_noise) {
  constexpr double kMinChange = 0.03, kNoises = 3;
  return std::max(kMinChange, kNoises * std::hypot(noise, other_noise));
}

std::vector<TimedWork> time_in_turn(const std::vector<std::function<void()>>& works, const StopRule& rule) {
  std::vector<MakeSampler> samplers;
  for (const auto& work : works) samplers.push_back([&work] { return cpu_sampler(work); });
  return time_samplers_in_turn(samplers, rule);
}

std::vector<TimedWork> time_samplers_in_turn(const std::vector<MakeSampler>& samplers, const StopRule& rule) {
  constexpr int kRounds = 3;
  const int rounds = rule.seconds > 0 ? kRounds : 1;
  const StopRule of_round{rule.seconds / rounds, rule.noise};
  std::vector<TimedWork> timed(samplers.size());
  std::vector<std::vector<std::vector<double>>> seconds(samplers.size(),
                                                        std::vector<std::vector<double>>(rounds));
  std::vector<char> graph(samplers.size(), 0);
  for (int round = 0; round < rounds; ++round)
    for (size_t i = 0; i < samplers.size(); ++i) {
      if (!timed[i].error.empty()) continue;
      try {
        const Sampler sampler = samplers[i]();
        graph[i] = sampler.graph;
        collect(sampler, of_round, seconds[i][round]);
      } catch (const Error& error) {
        timed[i].error = error.what();
      }
    }
  for (size_t i = 0; i < samplers.size(); ++i)
    if (timed[i].error.empty()) timed[i].timing = timing_of(seconds[i], graph[i] != 0);
  return timed;
}

Sampler cpu_sampler(std::function<void()> work) {
  work();
  return {[work = std::move(work)](std::vector<double>& seconds) {
    const auto start = Clock::now();
    work();
    seconds.push_back(seconds_since(start));
    return seconds.back();
  }};
}

Sampler gpu_sampler(const Context& ctx, std::function<void()> work) {
  constexpr double kBatch = 5e-3;  // seconds
  constexpr int kMaxRuns = 200;    // per batch
  struct State {
    explicit State(Device device) : begin(device, true), end(device, true) {}
    cuda::Event begin, end;
    cuda::Graph graph;
    std::function<void()> batch;
  };
  const auto state = std::make_shared<State>(ctx.device);
  const auto measure = [state, &ctx](const std::function<void()>& queue) {
    state->begin.record(ctx.stream);
    queue();
    state->end.record(ctx.stream);
    state->end.wait();
    return static_cast<double>(state->end.since(state->begin)) * 1e-3;
  };

  measure(work);  // warm-up: loads code, grows the workspace, makes plans
  const double once = measure(work);
  const int runs = std::clamp(static_cast<int>(kBatch / std::max(once, 1e-7)), 1, kMaxRuns);
  state->batch = [work, runs] {
    for (int i = 0; i < runs; ++i) work();
  };
  try {
    state->graph.capture(ctx.device, state->batch);
  } catch (const Error&) {
    // The work uploads more than a graph can hold, or a library makes a call that cannot be recorded.
  }
  const auto queue = [state] {
    if (state->graph.captured())
      state->graph.replay();
    else
      state->batch();
  };
  measure(queue);  // warm-up: raises the clock, uploads the graph to the device
  return {[measure, queue, runs](std::vector<double>& seconds) {
            const auto start = Clock::now();
            seconds.push_back(measure(queue) / runs);
            return seconds_since(start);
          },
          state->graph.captured()};
}

Sampler cold_gpu_sampler(const Context& ctx, std::function<void()> work) {
  constexpr int64_t kMoreThanL2 = int64_t{256} << 20;  // bytes; an H200 has 60 MiB
  constexpr int kQueued = 4;                           // runs; the host waits only after all of them
  struct State {
    Tensor buffer;
    std::vector<cuda::Event> begin, end;
  };
  const auto state = std::make_shared<State>();
  state->buffer = Tensor::empty({kMoreThanL2}, DType::u8, ctx.device);
  for (int i = 0; i < kQueued; ++i) {
    state->begin.emplace_back(ctx.device, true);
    state->end.emplace_back(ctx.device, true);
  }
  work();
  return {[state, &ctx, work = std::move(work)](std::vector<double>& seconds) {
    const auto start = Clock::now();
    for (size_t i = 0; i < state->begin.size(); ++i) {
      cuda::fill_bytes(ctx.device, state->buffer.mutable_raw(), 0, state->buffer.bytes());
      state->begin[i].record(ctx.stream);
      work();
      state->end[i].record(ctx.stream);
    }
    state->end.back().wait();
    for (size_t i = 0; i < state->begin.size(); ++i)
      seconds.push_back(static_cast<double>(state->end[i].since(state->begin[i])) * 1e-3);
    return seconds_since(start);
  }};
}

}  // namespace rcnn
