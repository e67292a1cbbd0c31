// Signals to processes under mpirun: all stop alike, with a checkpoint.
#include <csignal>

#include "tests/cli/cluster.h"

using namespace rcnn;
using namespace rcnn::fixtures;
namespace fs = std::filesystem;

TEST_CASE("mpirun: a signal to one process, or to mpirun, stops all after a step, with a checkpoint") {
  const Cluster cluster;
  if (!cluster) return;
  write_tiny_scenes(cluster.trial.folder / "data", 6);
  for (const int signal : {SIGTERM, SIGUSR1}) {
    CAPTURE(signal);
    const std::string out = std::to_string(signal);
    Process run(cluster.train(2, out, {"--steps", "100000"}));
    run.wait_until([&] { return cluster.steps_in(out) >= 2; });
    const pid_t one = signal == SIGUSR1 ? run.id() : Cluster::process_of(1, run.id());
    REQUIRE(one > 0);
    ::kill(one, signal);
    CHECK(run.wait() == 128 + signal);
    CHECK(contains(run.err(), "resume with:\n  mpirun -n 2 rcnn train --data "));
    REQUIRE(fs::exists(cluster.trial.folder / out / "last.safetensors"));
    const auto checkpoint = read_safetensors(cluster.trial.folder / out / "last.safetensors");
    CHECK(checkpoint.metadata.at("step") == std::to_string(cluster.steps_in(out)));
  }
}

TEST_CASE("mpirun: a signal to one process stops all within the evaluation at the end") {
  const Cluster cluster;
  if (!cluster) return;
  write_tiny_scenes(cluster.trial.folder / "data", 4);
  write_tiny_scenes(cluster.trial.folder / "data", 600, "test");
  const std::vector<std::string> settings = {"--steps", "1", "--val", "none"};
  Process run(cluster.train(2, "out", settings));
  run.wait_until([&] { return fs::exists(cluster.trial.folder / "out/best.safetensors"); });
  const pid_t one = Cluster::process_of(1, run.id());
  REQUIRE(one > 0);
  ::kill(one, SIGTERM);
  CHECK(run.wait() == 128 + SIGTERM);
  CHECK(contains(run.err(), "stopped in the evaluation at the end, after all steps; resume with:\n  mpirun"));
  CHECK_FALSE(fs::exists(cluster.trial.folder / "out/summary.json"));
  auto more = settings;
  more.emplace_back("--resume");
  CHECK(cluster.run(cluster.train(2, "out", more)).status == 0);
  CHECK(fs::exists(cluster.trial.folder / "out/summary.json"));
}
