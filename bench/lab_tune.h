// `rcnn lab tune`: measures the ways to run the calls of a file of shapes, and keeps the fastest in a file of
// plans (bench/plan_file.h).
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "bench/lab_names.h"
#include "bench/plan_file.h"
#include "bench/shapes.h"
#include "bench/timing.h"

namespace rcnn {

/// Times the ways to run a call, in their order. With `packs` each run packs the weights, as the steps of a
/// training do.
using MeasureWays = std::function<std::vector<TimedWork>(
    RepeatedCall& call, const std::vector<kernels::CallPlan>& ways, bool packs)>;

/// As `lab time` measures, on a GPU as a graph of runs, and in three rounds in turn there too. Each way runs
/// as a plan of the context does.
MeasureWays measure_ways(Context& ctx, const StopRule& rule);

/// The number of the way to keep: the fastest of those that are faster than the first beyond the noise of
/// both (min_change), in the median, in the 10th percentile and in the median of every round; 0, the first,
/// if there is none. Ways that failed are left out.
size_t best_way(const std::vector<TimedWork>& times);

/// The calls of a capture that plans can be found for, those first that take the most time of a step. Throws
/// InputError if a name is of an op that takes no plans, or if the capture has no such call.
std::vector<const CapturedOp*> calls_to_tune(const Capture& capture, const std::vector<LabName>& names);

/// What tuning has found.
struct Tuned {
  size_t measured = 0;           // shapes
  size_t changed = 0;            // that now run in another way than without plans
  size_t unconfirmed = 0;        // that would, if a second measurement had not found otherwise
  size_t one_way = 0;            // shapes that only one variant can run, which offers no cuts
  size_t by_values = 0;          // calls whose variant depends on values
  size_t too_large = 0;          // calls that are too large for a simulated GPU
  size_t failed = 0;             // ways
  double before = 0, after = 0;  // milliseconds of a step of the capture, in the shapes that were measured
};

/// Tunes calls of the capture, prints a table for each shape, and hands what it found to `keep`. Calls of one
/// shape have one plan; the first of them stands for all. The best of many ways may be the one that chance
/// helped most: so it is measured once more, in turn with what runs without a plan, and kept only if it is
/// the best of the two again. Throws InputError, which names --shapes, if a call
/// is none of its op.
Tuned tune(Context& ctx, const Capture& capture, const std::vector<const CapturedOp*>& calls,
           const PlanPlace& place, const MeasureWays& measure,
           const std::function<void(const PlanEntry&)>& keep);

}  // namespace rcnn
