// The command under mpirun: the same bytes for any number of processes, and what happens when one of them
// fails.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>

#include "core/files/folder_lock.h"
#include "tests/cli/cluster.h"

using namespace rcnn;
using namespace rcnn::fixtures;
namespace fs = std::filesystem;

TEST_CASE("mpirun: any number of processes leaves the files of one, and one sees their output") {
  const Cluster cluster;
  if (!cluster) return;
  write_tiny_scenes(cluster.trial.folder / "data", 6);
  write_tiny_scenes(cluster.trial.folder / "data", 3, "val");
  const Finished one = cluster.run(cluster.train(0, "one"));
  REQUIRE_MESSAGE(one.status == 0, one.err);
  for (const int processes : {1, 2, 3}) {
    const std::string out = std::to_string(processes);
    const Finished several = cluster.run(cluster.train(processes, out));
    REQUIRE_MESSAGE(several.status == 0, several.err);
    check_same_results(cluster.trial.folder / "one", cluster.trial.folder / out);
    const std::string line = "report: ";
    const size_t first = several.out.find(line);
    CHECK(first != std::string::npos);
    CHECK(several.out.find(line, first + 1) == std::string::npos);
    CHECK(contains(several.out, fmt::format("{} processes share the 4 batches", processes)) ==
          (processes > 1));
  }
}

TEST_CASE("mpirun: with --sync-bn, too, three processes leave the files of one") {
  const Cluster cluster;
  if (!cluster) return;
  write_tiny_scenes(cluster.trial.folder / "data", 6);
  const Finished one = cluster.run(cluster.train(0, "one", {"--sync-bn"}));
  REQUIRE_MESSAGE(one.status == 0, one.err);
  const Finished three = cluster.run(cluster.train(3, "three", {"--sync-bn"}));
  REQUIRE_MESSAGE(three.status == 0, three.err);
  check_same_results(cluster.trial.folder / "one", cluster.trial.folder / "three");
}

TEST_CASE("mpirun: eval divides the images and writes the files of one process") {
  const Cluster cluster;
  if (!cluster) return;
  write_tiny_scenes(cluster.trial.folder / "data", 4);
  write_tiny_scenes(cluster.trial.folder / "data", 5, "val");
  REQUIRE(cluster.run(cluster.train(0, "run")).status == 0);
  const auto eval = [&](int processes) {
    const std::string name = std::to_string(processes);
    std::vector<std::string> words;
    if (processes > 1) words = {cluster.mpirun, "--oversubscribe", "-n", name};
    words.insert(
        words.end(),
        {cluster.trial.program.string(), "eval", "--weights", cluster.trial.path("run/best.safetensors"),
         "--data", cluster.trial.path("data"), "--split", "val", "--json", cluster.trial.path(name + ".json"),
         "--out", cluster.trial.path(name + "-detections.json")});
    const Finished found = cluster.run(words);
    REQUIRE_MESSAGE(found.status == 0, found.err);
    return content_of(cluster.trial.folder / (name + ".json")) +
           content_of(cluster.trial.folder / (name + "-detections.json"));
  };
  const std::string expected = eval(1);
  CHECK(contains(expected, "val_00004.png"));
  CHECK((eval(2) == expected));
  CHECK((eval(6) == expected));  // more processes than images
}

TEST_CASE("mpirun: what is wrong for all is said once, with status 2") {
  const Cluster cluster;
  if (!cluster) return;
  write_tiny_scenes(cluster.trial.folder / "data", 4);
  const std::string many = "5 processes train together, but a step has only 4 batches";
  const Finished found = cluster.run(cluster.train(5, "out"));
  CHECK(found.status == 2);
  const size_t first = found.err.find(many);
  CHECK(first != std::string::npos);
  CHECK(found.err.find(many, first + 1) == std::string::npos);
  CHECK_FALSE(fs::exists(cluster.trial.folder / "out"));
  const Finished wrong = cluster.run(cluster.train(2, "out", {"--lr", "fast"}));
  CHECK(wrong.status == 2);
  CHECK(contains(wrong.err, "--lr"));
}

TEST_CASE("mpirun: processes of a launcher that does not connect them say so instead of training alone") {
  const Cluster cluster;
  if (!cluster) return;
  write_tiny_scenes(cluster.trial.folder / "data", 4);
  const std::vector<std::vector<std::string>> launchers = {
      {"SLURM_STEP_NUM_TASKS=2", "SLURM_PROCID=0"}, {"PMI_SIZE=2", "PMI_RANK=0"}, {"SLURM_STEP_NUM_TASKS=1"}};
  const std::vector<std::string> sentences = {
      "srun has started 2 processes, but without the means to find each other: start them with srun "
      "--mpi=pmix",
      "2 processes were started, but MPI connects 1: this program's MPI (Open MPI", ""};
  for (size_t i = 0; i < launchers.size(); ++i) {
    CAPTURE(i);
    std::vector<std::string> words = launchers[i];
    words.insert(words.begin(), "/usr/bin/env");
    const auto train = cluster.train(0, "out");
    words.insert(words.end(), train.begin(), train.end());
    const Finished found = cluster.run(words);
    CHECK(found.status == (sentences[i].empty() ? 0 : 2));
    CHECK(contains(found.err, sentences[i]));
    CHECK(fs::exists(cluster.trial.folder / "out") == sentences[i].empty());
  }
}

TEST_CASE("mpirun: rank 0 tells what each process has sent in a step, and what the formula says") {
  const Cluster cluster;
  if (!cluster) return;
  write_tiny_scenes(cluster.trial.folder / "data", 4);
  const Finished found = cluster.run(cluster.train(3, "out"));
  REQUIRE_MESSAGE(found.status == 0, found.err);
  for (const int rank : {0, 1, 2}) {
    const size_t at = found.out.find(fmt::format("\nrank {} sent ", rank));  // on a line of its own
    REQUIRE(at != std::string::npos);
    long long sent = 0, expected = 0, other = 0;
    REQUIRE(std::sscanf(found.out.c_str() + at,
                        "\nrank %*d sent %lld bytes of gradients in a step (expected: %lld), %lld of losses",
                        &sent, &expected, &other) == 3);
    CHECK(sent > 0);
    CHECK(sent == expected);
    CHECK(other > 0);
  }
  CHECK_FALSE(contains(cluster.run(cluster.train(0, "alone")).out, "rank 0 sent"));
}

TEST_CASE(
    "mpirun: a process that is killed ends all, and one process goes on to the bytes of an undisturbed run") {
  const Cluster cluster;
  if (!cluster) return;
  write_tiny_scenes(cluster.trial.folder / "data", 6);
  const std::vector<std::string> steps = {"--steps", "40", "--checkpoint-every", "3"};
  REQUIRE(cluster.run(cluster.train(0, "one", steps)).status == 0);
  Process run(cluster.train(2, "killed", steps));
  run.wait_until([&] { return cluster.steps_in("killed") >= 5; });
  const pid_t victim = Cluster::process_of(1, run.id());
  REQUIRE(victim > 0);
  ::kill(victim, SIGKILL);
  CHECK(run.wait() != 0);
  CHECK(contains(run.err(), "signal 9"));
  CHECK(cluster.steps_in("killed") < 40);
  auto more = steps;
  more.emplace_back("--resume");
  const Finished rest = cluster.run(cluster.train(0, "killed", more));
  REQUIRE_MESSAGE(rest.status == 0, rest.err);
  check_same_results(cluster.trial.folder / "one", cluster.trial.folder / "killed");
}

TEST_CASE("mpirun: a process that hangs is named, with what to do, and all end") {
  const Cluster cluster;
  if (!cluster) return;
  write_tiny_scenes(cluster.trial.folder / "data", 6);
  Process run(
      cluster.train(2, "out", {"--steps", "100000", "--checkpoint-every", "2", "--rank-timeout", "2"}));
  run.wait_until([&] { return cluster.steps_in("out") >= 5; });
  const pid_t sleeper = Cluster::process_of(1, run.id());
  REQUIRE(sleeper > 0);
  ::kill(sleeper, SIGSTOP);
  CHECK(run.wait() == 1);
  CHECK(contains(run.err(), "rank 1 ("));
  CHECK(contains(run.err(), "has not reached step "));
  CHECK(contains(run.err(), " for 2 s; last checkpoint step "));
  CHECK(contains(run.err(), "; go on with --resume"));
}

TEST_CASE("mpirun: a job of Slurm that has lost a process is requeued once, after the sentence") {
  const Cluster cluster;
  if (!cluster) return;
  write_tiny_scenes(cluster.trial.folder / "data", 6);
  const fs::path bin = cluster.trial.folder / "bin";
  write_text(bin / "scontrol", "#!/bin/sh\necho \"$@\" >>'" + cluster.trial.path("asked") + "'\n");
  fs::permissions(bin / "scontrol", fs::perms::owner_all);
  Environment environment;
  environment.set("PATH", bin.string() + ":/usr/local/bin:/usr/bin:/bin");
  auto words = cluster.train(3, "out", {"--steps", "100000", "--rank-timeout", "2", "--resume", "--requeue"});
  // Not for mpirun itself, which would ask Slurm for the machines of the job.
  const std::vector<std::string> in_a_job = {"-x", "SLURM_JOB_ID=77"};
  words.insert(words.begin() + 1, in_a_job.begin(), in_a_job.end());
  Process run(words);
  run.wait_until([&] { return cluster.steps_in("out") >= 3; });
  const pid_t sleeper = Cluster::process_of(1, run.id());
  REQUIRE(sleeper > 0);
  ::kill(sleeper, SIGSTOP);
  CHECK(run.wait() == 1);
  const std::string said = run.err();
  CHECK(contains(said, "has not reached step "));
  CHECK(said.find("has not reached step ") < said.find("rcnn: job 77 was requeued"));
  CHECK(content_of(cluster.trial.folder / "asked") == "requeue 77\n");
}

TEST_CASE("mpirun: --gpus is refused without GPUs, and beside mpirun with another number") {
  const Cluster cluster;
  if (!cluster) return;
  write_tiny_scenes(cluster.trial.folder / "data", 4);
  const auto found = cluster.run(cluster.train(2, "out", {"--gpus", "3"}));
  CHECK(found.status == 2);
  CHECK(contains(found.err, "--gpus 3, but 2 processes were started; expected --gpus alone, or mpirun"));
  const Finished alone = cluster.run(cluster.train(0, "out", {"--gpus", "9"}));
  CHECK(alone.status == 2);
  const std::string version = cluster.trial.run({"--version"}).out;
  if (contains(version, "no CUDA"))
    CHECK(alone.err ==
          "rcnn: --gpus 9: this build has no CUDA (make CUDA=1 builds it); `mpirun -n 9 rcnn "
          "train` shares the processors of the machine\n");
  else
    CHECK(contains(alone.err, "--gpus 9: this machine has "));
  CHECK_FALSE(fs::exists(cluster.trial.folder / "out"));
  if (!contains(version, "simulated CUDA")) return;
  const Finished two = cluster.run(cluster.train(0, "out", {"--steps", "1", "--gpus", "2"}));
  CHECK_MESSAGE(two.status == 0, two.err);
  CHECK(contains(two.out, ") on cuda:0, rank 1 ("));
  CHECK(contains(two.out, ") on cuda:1\n"));
  CHECK(contains(two.out, "gradients pass through the memory of the host: rank 0 ("));
}

TEST_CASE("mpirun: a run that resumes waits for the process that still holds the folder") {
  const Cluster cluster;
  if (!cluster) return;
  write_tiny_scenes(cluster.trial.folder / "data", 4);
  fs::create_directories(cluster.trial.folder / "out");
  std::optional<FolderLock> dying(std::in_place, cluster.trial.folder / "out");
  Process run(cluster.train(2, "out", {"--steps", "2", "--resume"}));
  run.wait_until([&] { return contains(run.out(), "is still training in this folder"); });
  std::this_thread::sleep_for(std::chrono::seconds(1));
  CHECK(run.running());
  dying.reset();
  CHECK(run.wait() == 0);
  const std::string said = run.out();
  const std::string waiting = fmt::format(
      "process {} is still training in this folder; waiting up to 10 s for its end\n", ::getpid());
  CHECK(contains(said, waiting));
  CHECK(said.find("is still training") == said.rfind("is still training"));
  CHECK(cluster.steps_in("out") == 2);
}

TEST_CASE("mpirun: what one process finds wrong is said with its rank, and its status is that of all") {
  const Cluster cluster;
  if (!cluster) return;
  write_tiny_scenes(cluster.trial.folder / "data", 6);
  std::vector<std::string> words = cluster.train(1, "out");
  std::vector<std::string> other = cluster.train(0, "out");
  std::replace(other.begin(), other.end(), cluster.trial.path("data"), cluster.trial.path("missing"));
  words.insert(words.end(), {":", "-n", "1"});
  words.insert(words.end(), other.begin(), other.end());
  const auto begin = std::chrono::steady_clock::now();
  const Finished found = cluster.run(words);
  CHECK(found.status == 2);
  CHECK(contains(found.err, "rcnn: rank 1 ("));
  CHECK(contains(found.err, "missing"));
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(20));
}

TEST_CASE("mpirun: a process that never starts is missed after the time that is set, and all end") {
  const Cluster cluster;
  if (!cluster) return;
  write_tiny_scenes(cluster.trial.folder / "data", 4);
  Environment environment;
  environment.set("RCNN_START_TIMEOUT", "2");
  const std::vector<std::string> sleeper = {"-n", "1", "/bin/sleep", "60"};
  for (const bool first_is_missing : {false, true}) {
    CAPTURE(first_is_missing);
    std::vector<std::string> words = cluster.train(1, "out");
    if (first_is_missing) {
      const auto begin = std::find(words.begin(), words.end(), "-n");
      std::vector<std::string> missing = sleeper;
      missing.emplace_back(":");
      words.insert(begin, missing.begin(), missing.end());
    } else {
      words.emplace_back(":");
      words.insert(words.end(), sleeper.begin(), sleeper.end());
    }
    const auto begin = std::chrono::steady_clock::now();
    const Finished found = cluster.run(words);
    CHECK(found.status == 1);
    CHECK(contains(found.err, first_is_missing ? "rcnn: rank 1 (" : "rcnn: rank 0 ("));
    CHECK(contains(found.err, "): the 2 processes of this job have not all started within 2 s: "));
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(20));
    CHECK_FALSE(fs::exists(cluster.trial.folder / "out"));
  }
  environment.set("RCNN_START_TIMEOUT", "soon");
  const Finished wrong = cluster.run(cluster.train(2, "out"));
  CHECK(wrong.status == 2);
  CHECK(contains(wrong.err, "RCNN_START_TIMEOUT=soon: expected seconds between 0 and 1000000"));
}

TEST_CASE("mpirun: --dry-run in one process only is named as what it is") {
  const Cluster cluster;
  if (!cluster) return;
  write_tiny_scenes(cluster.trial.folder / "data", 4);
  for (const int dry : {0, 1}) {
    CAPTURE(dry);
    std::vector<std::string> words = cluster.train(1, "out"), other = cluster.train(0, "out");
    (dry == 0 ? words : other).emplace_back("--dry-run");
    words.insert(words.end(), {":", "-n", "1"});
    words.insert(words.end(), other.begin(), other.end());
    const Finished found = cluster.run(words);
    CHECK(found.status == 2);
    CHECK(contains(found.err, fmt::format("rank {} (", dry)));
    CHECK(contains(found.err, "was started with --dry-run, and rank "));
    CHECK(contains(found.err, "without it; expected the same options in all processes"));
    CHECK_FALSE(fs::exists(cluster.trial.folder / "out"));
  }
}
