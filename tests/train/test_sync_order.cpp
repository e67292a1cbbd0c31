// What must be on the disk before what else. Only a crash of the machine shows the difference; so the calls
// are watched in this program, which has an fsync of its own.
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "core/files/look.h"
#include "tests/program.h"
#include "tests/train/tiny_run.h"

using namespace rcnn;
using namespace rcnn::fixtures;
namespace fs = std::filesystem;

namespace {

const std::function<void(const fs::path&)>* watcher = nullptr;

int64_t step_of(const fs::path& checkpoint) {
  return is_there(checkpoint) ? std::stoll(read_safetensors(checkpoint).metadata.at("step")) : 0;
}

}  // namespace

/// In place of the C library's.
extern "C" int fsync(int file) {
  if (watcher) (*watcher)(fs::read_symlink("/proc/self/fd/" + std::to_string(file)));
  return static_cast<int>(::syscall(SYS_fsync, file));
}

TEST_CASE("run: the metrics are on the disk before the checkpoint of their step") {
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "data", 4);
  RunOptions run = tiny_run(folder / "data", folder / "out");
  run.train.checkpoint_every = 3;
  std::vector<std::pair<int64_t, int64_t>> seen;  // lines of the metrics, step of the checkpoint
  const std::function<void(const fs::path&)> watch = [&](const fs::path& file) {
    if (file.filename() != "metrics.jsonl") return;
    const std::string text = content_of(file);
    seen.emplace_back(std::count(text.begin(), text.end(), '\n'), step_of(folder / "out/last.safetensors"));
  };
  watcher = &watch;
  train_quietly(run);
  watcher = nullptr;
  CHECK(seen == std::vector<std::pair<int64_t, int64_t>>{{3, 0}, {6, 3}});
  CHECK(step_of(folder / "out/last.safetensors") == 6);
}
