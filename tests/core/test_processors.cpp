// Limits of control groups, read from files like those of Linux.
#include "core/processors.h"

#include "tests/data/fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

using Files = std::vector<std::pair<std::string, std::string>>;

int limit(const Files& files) {
  const TemporaryFolder root;
  for (const auto& [name, text] : files) write_text(root / name, text);
  return control_group_processors(root.path());
}

}  // namespace

TEST_CASE("processors: version 2 of control groups, in a container and in nested groups") {
  const std::string groups = "proc/self/cgroup", mount = "sys/fs/cgroup/";
  CHECK(limit({{groups, "0::/\n"}, {mount + "cpu.max", "200000 100000\n"}}) == 2);
  CHECK(limit({{groups, "0::/\n"}, {mount + "cpu.max", "150000 100000\n"}}) == 2);
  CHECK(limit({{groups, "0::/\n"}, {mount + "cpu.max", "5000 100000\n"}}) == 1);
  CHECK(limit({{groups, "0::/\n"}, {mount + "cpu.max", "max 100000\n"}}) == 0);
  const Files nested = {{groups, "0::/a.slice/b.service\n"},
                        {mount + "a.slice/cpu.max", "300000 100000\n"},
                        {mount + "a.slice/b.service/cpu.max", "max 100000\n"}};
  CHECK(limit(nested) == 3);
  Files lower = nested;
  lower[2].second = "100000 100000\n";
  CHECK(limit(lower) == 1);
}

TEST_CASE("processors: version 1 of control groups, whose path a container may not see") {
  const std::string groups = "proc/self/cgroup", mount = "sys/fs/cgroup/cpu,cpuacct/";
  const auto with = [&](const std::string& quota) {
    return limit({{groups, "9:memory:/x\n4:cpu,cpuacct:/docker/12ab\n1:name=systemd:/x\n"},
                  {mount + "cpu.cfs_quota_us", quota + "\n"},
                  {mount + "cpu.cfs_period_us", "50000\n"}});
  };
  CHECK(with("200000") == 4);
  CHECK(with("-1") == 0);
}

TEST_CASE("processors: without control groups, or with files that make no sense, there is no limit") {
  CHECK(limit({}) == 0);
  const std::string groups = "proc/self/cgroup", file = "sys/fs/cgroup/cpu.max";
  for (const char* text : {"", "x y\n", "0 0\n", "100000\n", "-5 100000\n", "nan 100000\n"}) {
    CAPTURE(text);
    CHECK(limit({{groups, "0::/\n"}, {file, text}}) == 0);
  }
  CHECK(limit({{groups, "no colons\n:\n"}, {file, "100000 100000\n"}}) == 0);
  CHECK(limit({{groups, "0::/../..\n"}, {file, "100000 100000\n"}}) <= 1);
}
