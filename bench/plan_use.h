// Which plans of a file (bench/plan_file.h) calls of this program can run by, on this machine.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "bench/plan_file.h"
#include "core/context.h"

namespace rcnn {

/// Of work on `device` with the present number of threads.
PlanPlace place_of(Device device, const std::string& version);

/// Whether the plan can give other bits than what runs without it: another variant, or another number of
/// parts in which a sum is added up. Tiles alone do not change bits.
bool changes_bits(const PlanEntry& entry);

/// The plans of the file that hold at `place` and by which a call can run: variants and cut exist, have the
/// precision that the entry states, and support its shape. Of two for the same calls the later one counts.
/// Plans::note says how many are used, and of the others how many are left out for which reason. Throws as
/// read_plan_file.
std::shared_ptr<const kernels::Plans> load_plans(const std::filesystem::path& path, const PlanPlace& place);

}  // namespace rcnn
