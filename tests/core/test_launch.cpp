// Starting other programs.
#include "core/world/launch.h"

#include "core/error.h"
#include "core/parallel.h"
#include "tests/program.h"

using namespace rcnn;
using namespace rcnn::fixtures;
namespace fs = std::filesystem;

namespace {

/// A folder with an executable script.
fs::path write_script(const TemporaryFolder& folder, const std::string& name, const std::string& text) {
  write_text(folder / name, "#!/bin/sh\n" + text + "\n");
  fs::permissions(folder / name, fs::perms::owner_all);
  return folder / name;
}

}  // namespace

TEST_CASE("launch: a program is looked for in the folders of PATH, and must be executable") {
  const TemporaryFolder first, second;
  Environment environment;
  environment.set("PATH", first.path().string() + ":" + second.path().string());
  write_text(first / "tool", "");
  CHECK(find_on_path("tool").empty());
  const fs::path tool = write_script(second, "tool", "");
  CHECK(find_on_path("tool") == tool);
  CHECK(find_on_path("tools").empty());
  environment.remove("PATH");
  CHECK(find_on_path("tool").empty());
}

TEST_CASE("launch: the status of a program that was run") {
  const TemporaryFolder folder;
  CHECK(run_and_wait(write_script(folder, "seven", "test \"$1 $2\" = 'a b c' && exit 7"), {"a", "b c"}) == 7);
  CHECK(run_and_wait(write_script(folder, "killed", "kill -9 $$"), {}) == -1);
  CHECK(run_and_wait(folder / "none", {}) == -1);
}

TEST_CASE("launch: the words for mpirun") {
  using Words = std::vector<std::string>;
  CHECK(mpirun_words("/bin/mpirun", 2, 8, {"rcnn", "train"}) ==
        Words{"/bin/mpirun", "-n", "2", "--bind-to", "none", "rcnn", "train"});
  CHECK(mpirun_words("/bin/mpirun", 8, 2, {"rcnn"}) ==
        Words{"/bin/mpirun", "-n", "8", "--bind-to", "none", "--oversubscribe", "rcnn"});
}

TEST_CASE("launch: a process becomes mpirun with its own program, arguments and part of the threads") {
  const TemporaryFolder folder;
  write_script(folder, "mpirun", "echo \"$OMP_NUM_THREADS|$*\" >'" + (folder / "seen").string() + "'");
  Environment environment;
  environment.set("PATH", folder.path().string());
  environment.remove("OMP_NUM_THREADS");
  const int threads = std::max(1, thread_count() / 2);
  const auto become = [] {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      try {
        become_ranks(2);
      } catch (const InputError&) {
        std::_Exit(2);
      }
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    return WEXITSTATUS(status);
  };
  CHECK(become() == 0);
  const std::string seen = content_of(folder / "seen");
  CHECK(seen.starts_with(fmt::format("{}|-n 2 --bind-to none ", threads)));
  CHECK(contains(seen, fs::read_symlink("/proc/self/exe").string()));
  environment.set("OMP_NUM_THREADS", "5");
  CHECK(become() == 0);
  CHECK(content_of(folder / "seen").starts_with("5|"));
  environment.remove("PATH");
  CHECK(become() == 2);
}
