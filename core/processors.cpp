#include "core/processors.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>
#include <string>

namespace rcnn {
namespace {

namespace fs = std::filesystem;

std::string first_line(const fs::path& path) {
  std::string line;
  if (std::ifstream file(path); file) std::getline(file, line);
  return line;
}

/// The quota divided by the period, in processors; 0 if there is none ("max", "-1", no such file).
double share(const std::string& quota, const std::string& period) {
  std::istringstream text(quota + " " + period);
  double time = 0, of = 0;
  return text >> time >> of && time > 0 && of > 0 ? time / of : 0;
}

double limit_of(const fs::path& group, bool version2) {
  if (!version2)
    return share(first_line(group / "cpu.cfs_quota_us"), first_line(group / "cpu.cfs_period_us"));
  return share(first_line(group / "cpu.max"), "");
}

/// The lowest limit of a group and those that contain it.
double lowest_limit(const fs::path& mount, const std::string& group, bool version2) {
  double lowest = 0;
  fs::path inside = fs::path(group).relative_path();
  while (true) {
    const double limit = limit_of(mount / inside, version2);
    if (limit > 0 && (lowest == 0 || limit < lowest)) lowest = limit;
    if (inside.empty()) return lowest;
    inside = inside.parent_path();
  }
}

}  // namespace

int control_group_processors(const fs::path& root) {
  const fs::path mounts = root / "sys/fs/cgroup";
  std::ifstream groups(root / "proc/self/cgroup");
  double lowest = 0;
  for (std::string line; std::getline(groups, line);) {  // "0::/user.slice", "4:cpu,cpuacct:/docker/1234"
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool version2 = controllers.empty();
    if (!version2 && ("," + controllers + ",").find(",cpu,") == std::string::npos) continue;
    const double limit =
        lowest_limit(version2 ? mounts : mounts / controllers, line.substr(second + 1), version2);
    if (limit > 0 && (lowest == 0 || limit < lowest)) lowest = limit;
  }
  return static_cast<int>(std::ceil(std::min(lowest, 1e6)));
}

}  // namespace rcnn
