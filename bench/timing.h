// Measures how long work takes, on the CPU and on a GPU.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/context.h"

namespace rcnn {

/// The middle value; for an even number of values, the upper of the middle two. Requires at least one value.
double median(std::vector<double> values);
/// The value below which `share` of the values lie (the nearest rank). Requires at least one value.
double quantile(std::vector<double> values, double share);

/// The standard error of the median of these values, as a share of it, if they are independent: estimated
/// from the median absolute deviation, which a few outliers do not move. Infinite for fewer than two values.
double relative_error_of_median(const std::vector<double>& values);

/// Appends the seconds of one run, or of a few, to the list: one measurement of the work. Returns the seconds
/// that it took, with all that is not part of the measurement.
struct Sampler {
  std::function<double(std::vector<double>& seconds)> take;
  bool graph = false;  // measures the replay of a CUDA graph
};

/// When a measurement has been repeated often enough: as soon as the median is known to within `noise`
/// (relative_error_of_median), or after `seconds` on the clock, but never before three values. It is looked
/// at when there are 32 values, and whenever their number has doubled. NVIDIA's nvbench stops likewise when
/// the relative standard deviation is below a bound, or does not change any more; the error of the median
/// becomes smaller with every value, so there is no second rule here.
struct StopRule {
  double seconds = 0.2;
  double noise = 0;  // 0: the time is always used up
};

/// Takes samples until the rule stops it.
void collect(const Sampler& sampler, const StopRule& rule, std::vector<double>& seconds);

/// Seconds of one run.
struct Timing {
  double seconds = 0;  // the median
  double p10 = 0, p90 = 0;
  double noise = 0;  // of the median, as a share of it
  size_t samples = 0;
  bool graph = false;               // measured as the replay of a CUDA graph
  std::vector<double> rounds = {};  // their medians
};

/// Of one or more rounds of samples, taken at different times. The noise is the error of the median, or half
/// of the range of the rounds' medians if that is larger: neighbours on the machine come and go more slowly
/// than one round lasts.
Timing timing_of(const std::vector<std::vector<double>>& rounds, bool graph);

/// How much two medians with these noises must differ, as a share, before one counts as slower: three times
/// the noise of both together, and at least 3 %.
double min_change(double noise, double other_noise);

/// What a measurement has found: times, or why the work failed.
struct TimedWork {
  Timing timing = {};
  std::string error = {};
};

/// Measures pieces of work on the CPU in three rounds in turn: other programs come and go, and so all pieces
/// meet the same. With a rule of 0 seconds there is one round. `rule` holds for all rounds together.
std::vector<TimedWork> time_in_turn(const std::vector<std::function<void()>>& works, const StopRule& rule);

/// The same for any samplers. A sampler is made anew for each round, which warms up what it measures, and
/// gone when the next one is made: a CUDA graph uses memory that other work may replace.
using MakeSampler = std::function<Sampler()>;
std::vector<TimedWork> time_samplers_in_turn(const std::vector<MakeSampler>& samplers, const StopRule& rule);

/// Runs `work` once as a warm-up, which touches memory and makes plans; each sample is one run.
Sampler cpu_sampler(std::function<void()> work);

/// For work that is queued on the context's stream. Events are recorded before and after batches of runs,
/// which are long enough to hide the launch latency; a sample is a batch, divided by its number of runs. A
/// batch is replayed as a CUDA graph, as a detection is; work that cannot be captured is queued again each
/// time. Caches are not cleared between runs.
Sampler gpu_sampler(const Context& ctx, std::function<void()> work);

/// The same with operands that are in no cache: before each run a buffer larger than the L2 cache is
/// overwritten, which is not timed. A sample is four runs, each timed by itself.
Sampler cold_gpu_sampler(const Context& ctx, std::function<void()> work);

}  // namespace rcnn
