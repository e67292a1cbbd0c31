// The file of plans (kernels/plans.h): what `rcnn lab tune` has measured, and what runs therefore.
//
// It is one JSON object: {"info", "plans": 1, "calls": [{"device" (the processor's or the card's name),
// "threads" (0 for a card), "version" (the commit of the program), "date" (UTC), "op", "shape", "precision",
// "preferred" (the variant that the op's table prefers for such calls), "plan" (what runs instead), "times"
// (one for each way that was measured, the first for what runs without a plan)}]}. A way is {"variant",
// "cut"}, without "cut" for a variant that has one way only; "times" adds "ms" (median), "p10_ms", "noise".
#pragma once

#include <filesystem>
#include <string>
#include <vector>

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

/// Throws InputError, which names the file and the line or the entry, if it cannot be read or is no such
/// file. Whether a plan can be used is not looked at: bench/plan_use.h.
std::vector<PlanEntry> read_plan_file(const std::filesystem::path& path);

/// Two entries of a file for the same calls at the same place, by their numbers: the later one counts.
struct ReplacedEntry {
  size_t entry = 0, by = 0;
};
std::vector<ReplacedEntry> replaced_entries(const std::vector<PlanEntry>& entries);
/// Whether the file has plans in the form of another version, which read_plan_file refuses. Throws
/// InputError if it is no JSON; false if it does not exist or is empty.
bool has_other_version(const std::filesystem::path& path);

/// "entry 0 by entry 3", the first three of them.
std::string replaced_text(const std::vector<ReplacedEntry>& replaced);

/// What a file with these entries holds. Of several for the same calls at the same place, the last one is in
/// it.
std::string plan_file_text(const std::vector<PlanEntry>& entries);

/// Adds the entries to the file, in place of those for the same calls at the same place, and keeps all
/// others. Creates the file if there is none. Returns those entries that the file had twice, of which the
/// earlier is now gone. Throws as read_plan_file, and Error if it cannot be written.
std::vector<ReplacedEntry> add_to_plan_file(const std::filesystem::path& path,
                                            const std::vector<PlanEntry>& entries);

/// rcnn/plans.json in $XDG_CACHE_HOME or ~/.cache. Throws InputError, which names --plans, if neither is
/// known.
std::filesystem::path default_plan_file();

}  // namespace rcnn
