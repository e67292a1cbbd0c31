// The file of plans (kernels/plans.h): what `rcnn lab tune` has measured, and what runs therefore.
//
// It is one JSON object: {"info", "plans": 1, "calls": [{"device" (the processor's or the card's name),
// "threads" (0 for a card), "version" (the commit of the program), "date" (UTC), "op", "shape", "precision",
// "preferred" (the variant that the op's table prefers for such calls), "plan" (what runs instead), "times"
// (one for each way that was measured, the first for what runs without a plan)}]}. A way is {"variant",
// "cut"}, without "cut" for a variant that has one way only; "times" adds "ms" (median), "p10_ms", "noise".
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "bench/timing.h"
#include "core/context.h"
#include "kernels/plans.h"

namespace rcnn {

/// Where plans hold. Times elsewhere say nothing, and another version of the program may prefer another
/// variant, or compute other bits.
struct PlanPlace {
  std::string device = {};   // the name of the processor or the card
  int threads = 0;           // that compute on a processor; 0 for a card
  std::string version = {};  // the commit of the program
  auto operator<=>(const PlanPlace&) const = default;
};
/// Of work on `device` with the present number of threads.
PlanPlace place_of(Device device, const std::string& version);

struct TimedPlan {
  kernels::CallPlan plan = {};
  double ms = 0, p10_ms = 0;
  double noise = 0;  // of the median, as a share of it
};

/// What was measured for calls of one shape at one place.
struct PlanEntry {
  PlanPlace place = {};
  kernels::PlannedCall call = {};
  std::string precision = "f32", date = {};
  kernels::CallPlan plan = {};        // what is to run: one of `times`
  std::vector<TimedPlan> times = {};  // the first: what runs without a plan
};

/// Whether the plan can give other bits than what runs without it: another variant, or another number of
/// parts in which a sum is added up. Tiles alone do not change bits.
bool changes_bits(const PlanEntry& entry);

/// Throws InputError, which names the file and the line or the entry, if it cannot be read or is no such
/// file.
std::vector<PlanEntry> read_plan_file(const std::filesystem::path& path);

/// Adds the entries to the file, in place of those for the same calls at the same place, and keeps all
/// others. Creates the file if there is none. Throws as read_plan_file, and Error if it cannot be written.
void add_to_plan_file(const std::filesystem::path& path, const std::vector<PlanEntry>& entries);

/// The plans of the file that hold at `place`, and whose variants and cuts exist. Plans::note says how many
/// were left out, and why.
std::shared_ptr<const kernels::Plans> load_plans(const std::filesystem::path& path, const PlanPlace& place);

/// rcnn/plans.json in $XDG_CACHE_HOME or ~/.cache. Throws InputError, which names --plans, if neither is
/// known.
std::filesystem::path default_plan_file();

}  // namespace rcnn
