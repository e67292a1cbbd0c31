// Times the variants of an op on prepared cases, whatever they come from: the op's table, or a file of
// shapes.
#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bench/gpu_state.h"
#include "bench/kept_forms.h"
#include "bench/lab_names.h"
#include "bench/roofs.h"
#include "bench/timing.h"
#include "core/cuda/device.h"
#include "kernels/cases_device.h"
#include "models/config.h"

namespace rcnn {

using TensorShapes = std::vector<std::vector<int64_t>>;

/// A case to time.
template <class A>
struct TimedCase {
  kernels::Prepared<A> prepared;  // on the host
  size_t number = 0;              // in what it was taken from
  double calls = 1;               // how often it occurs there
  bool keeps_weights = true;      // packed weights are kept from run to run, as in a layer
  bool new_weights = false;       // but they are new in each run, as in a training's steps
};

/// The times of a variant on a case.
struct TimedRow {
  std::string op = {}, variant = {}, needs = {};  // needs: what the build must have for it, as in Backend
  size_t case_index = 0;
  double calls = 1;     // how often the case occurs in what it was taken from
  bool chosen = false;  // the program would take it, in the precision of LabTimerOptions
  Precision precision = Precision::f32;
  TensorShapes inputs = {}, outputs = {};
  double flop = 0, bytes = 0;
  Timing timing = {};
  Timing cold = {};        // with nothing in the L2 cache; no samples: not measured
  std::string error = {};  // not empty: it failed, and there are no times
  double share = 0;        // of the nearest limit; 0: unknown
  bool by_memory = false;  // which limit that is
  GpuState gpu = {};       // right after the runs; empty on the CPU
  double library = 0;      // the time of the best library in this precision / this time; 0: there is none
};

struct LabTimerOptions {
  StopRule stop;
  bool cold = false, once = false;
  double slowest = 2;  // GFLOP of a case up to which the reference is timed
  std::function<bool(std::string_view op, std::string_view variant)> wanted;  // empty: all
  std::vector<std::string> chosen;  // only the variants that a model of these precisions uses; empty: all
  Precision precision = Precision::f32;
};

class LabTimer {
 public:
  LabTimer(Device device, LabTimerOptions options, const Roofs& roofs);

  /// Times the variants on `cases` cases and prints a table for each. `prepare(index, noted)` makes a
  /// TimedCase with uniform numbers that it notes (Fill::uniform), or returns nothing for one to leave out.
  template <class A, class A64, class Prepare>
  void time_op(const kernels::Op<A, A64>& op, size_t cases, Prepare prepare);

  /// What is known of the card; empty on the CPU and for a simulated one.
  GpuCard card() const { return watch_ ? watch_->card() : GpuCard{}; }

  std::vector<TimedRow> rows;
  int failures = 0;

 private:
  struct Job {
    TimedRow row;
    std::function<void()> run;
  };

  /// Fills in the times of the jobs, which are the variants of one case, prints them and keeps their rows.
  void measure(std::vector<Job>& jobs);
  void time_job(Job& job);
  void time_in_rounds(std::vector<Job>& jobs);
  static void print_case(const TimedRow& row, size_t index);
  static void print_row(const TimedRow& row);

  Context ctx_;
  LabTimerOptions options_;
  const Roofs& roofs_;
  bool on_gpu_, simulated_;
  std::optional<GpuWatch> watch_ = {};
};

TensorShapes shapes_of(const std::vector<Tensor>& tensors);
/// "(2, 3) (6)", or "none".
std::string shapes_text(const TensorShapes& shapes);

/// As in a layer: variants that pack the weights do so once, in the run that is not timed.
template <class Args>
void identify_weights(kernels::Prepared<Args>& p) {
  if constexpr (requires {
                  p.args.weights;
                  p.args.w;
                })
    for (const Tensor& tensor : p.inputs)
      if (tensor.raw() == p.args.w) p.args.weights = {tensor.storage().id, tensor.version()};
}

template <class Args>
double bytes_of(const kernels::Prepared<Args>& p) {
  if (p.bytes > 0) return p.bytes;
  size_t bytes = 0;
  for (const Tensor& tensor : p.inputs) bytes += tensor.bytes();
  for (const Tensor& tensor : p.outputs) bytes += tensor.bytes();
  return static_cast<double>(bytes);
}

template <class A, class A64, class Prepare>
void LabTimer::time_op(const kernels::Op<A, A64>& op, size_t cases, Prepare prepare) {
  constexpr double kMaxSimulated = 3e7;  // FLOP or bytes of a case that a simulated GPU runs
  const auto wanted = [&](const kernels::Variant<A, A64>& variant) {
    return !options_.wanted || options_.wanted(op.name, variant.name);
  };
  const auto chosen_in = [&](Precision precision, const A& args) {
    ctx_.precision = precision;
    return &kernels::choose(ctx_, op, args);
  };
  if (std::ranges::none_of(op.variants, [&](const auto& variant) {
        return kernels::runs_in(ctx_, variant) && wanted(variant);
      }))
    return;
  for (size_t index = 0; index < cases; ++index) {
    kernels::UniformTensors noted;
    const std::optional<TimedCase<A>> timed = prepare(index, noted);
    if (!timed) continue;
    const kernels::Prepared<A>& host = timed->prepared;
    const double bytes = bytes_of(host);
    if (simulated_ && std::max(host.flop, bytes) > kMaxSimulated) continue;
    auto p = on_gpu_ ? kernels::on_device(host, ctx_.device, noted) : host;
    if (timed->keeps_weights) identify_weights(p);
    KeptForms forms;
    if (on_gpu_) forms.belong_to(p.args);
    const auto* chosen = chosen_in(options_.precision, p.args);
    const auto is_wanted = [&](const kernels::Variant<A, A64>& variant) {
      if (!kernels::fits(ctx_, variant, p.args) || !wanted(variant)) return false;
      if (!options_.chosen.empty())
        return std::ranges::any_of(options_.chosen, [&](const std::string& precision) {
          return chosen_in(parse_precision(precision), p.args) == &variant;
        });
      return std::string_view(variant.name) != "reference" || p.flop <= options_.slowest * 1e9;
    };
    std::vector<Job> jobs;
    for (const auto& variant : op.variants) {
      if (!is_wanted(variant)) continue;
      TimedRow row{.op = op.name,
                   .variant = variant.name,
                   .needs = variant.backend.needs,
                   .case_index = timed->number,
                   .calls = timed->calls,
                   .chosen = &variant == chosen,
                   .precision = variant.backend.precision,
                   .inputs = shapes_of(p.inputs),
                   .outputs = shapes_of(p.outputs),
                   .flop = p.flop,
                   .bytes = bytes};
      jobs.push_back(
          {std::move(row), [this, run = variant.run, &args = p.args, new_weights = timed->new_weights] {
             if constexpr (requires { args.weights.version; })
               if (new_weights) ++args.weights.version;
             const Workspace::Scope scope(ctx_.workspace);
             run(ctx_.stream, ctx_.workspace, args);
             if (simulated_) cuda::synchronize(ctx_.device);
           }});
    }
    if (!jobs.empty()) measure(jobs);
  }
}

}  // namespace rcnn
