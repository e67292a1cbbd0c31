// Limits on how much of the processors this process may use.
#pragma once

#include <filesystem>

namespace rcnn {

/// The number of processors whose time the control groups of this process grant it, rounded up: `docker run
/// --cpus 2`, CPUQuota of systemd (cpu.max in version 2, cpu.cfs_quota_us in version 1). 0: there is no
/// limit, or no control group. Files are looked for under `root`.
int control_group_processors(const std::filesystem::path& root = "/");

}  // namespace rcnn
