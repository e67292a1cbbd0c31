// The command in several processes without MPI: the same bytes as one, and what happens when one of them
// fails.
#include <algorithm>
#include <chrono>
#include <memory>

#include "tests/train/ranks.h"

using namespace rcnn;
using namespace rcnn::fixtures;
namespace fs = std::filesystem;

namespace {

/// A place for processes of the program; the test is skipped without the program, or if it has no Gloo.
struct Crew {
  ProgramTrial trial;
  Environment environment;
  std::string version;

  Crew() {
    environment.set("OMP_NUM_THREADS", "1");
    environment.remove("RCNN_RENDEZVOUS");
    if (!trial) return;
    version = trial.run({"--version"}).out;
    if (!contains(version, "Gloo")) MESSAGE("skipped: this build has no Gloo");
    write_tiny_scenes(trial.folder / "data", 6);
  }
  explicit operator bool() const { return contains(version, "Gloo"); }

  std::string place() const { return trial.path("meet"); }
  bool place_is_empty() const { return !fs::exists(place()) || fs::is_empty(place()); }
  std::vector<std::string> train(const std::string& out, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words = {
        trial.program.string(), "train",        "--data", trial.path("data"), "--out",
        trial.path(out),        "--accumulate", "3",      "--workers",        "1"};
    for (const auto& [key, text] : tiny_settings())
      if (key != "steps" && key != "batch") words.insert(words.end(), {"--" + key, text});
    words.insert(words.end(), {"--batch", "1"});
    if (std::find(more.begin(), more.end(), "--steps") == more.end())
      words.insert(words.end(), {"--steps", "3"});
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  using Group = std::vector<std::unique_ptr<Process>>;
  /// Starts the command as one rank of so many.
  std::unique_ptr<Process> start_one(int rank, int processes, const std::vector<std::string>& words) const {
    std::vector<std::string> all = {"/usr/bin/env", fmt::format("RANK={}", rank),
                                    fmt::format("WORLD_SIZE={}", processes)};
    all.insert(all.end(), words.begin(), words.end());
    all.insert(all.end(), {"--rendezvous", place()});
    return std::make_unique<Process>(all);
  }
  /// Starts the command so many times, rank 0 last.
  Group start(const std::vector<std::string>& words, int processes) const {
    Group all(static_cast<size_t>(processes));
    for (int rank = processes - 1; rank >= 0; --rank)
      all[static_cast<size_t>(rank)] = start_one(rank, processes, words);
    return all;
  }
  int64_t steps_in(const std::string& out) const { return count_lines(trial.folder / out / "metrics.jsonl"); }
};

}  // namespace

TEST_CASE("rendezvous: any number of processes leaves the files of one, and rank 0 alone speaks") {
  const Crew crew;
  if (!crew) return;
  const Finished one = run_program(crew.trial.program, [&] {
    auto words = crew.train("one");
    words.erase(words.begin());
    return words;
  }());
  REQUIRE_MESSAGE(one.status == 0, one.err);
  for (const int processes : {1, 2, 3}) {
    CAPTURE(processes);
    const std::string out = std::to_string(processes);
    const auto group = crew.start(crew.train(out), processes);
    for (const auto& process : group) {
      CHECK(process->wait_briefly() == 0);
      CHECK_MESSAGE(process->err().empty(), process->err());
      CHECK(process->out().empty() == (process != group.front()));
    }
    check_same_results(crew.trial.folder / "one", crew.trial.folder / out);
    CHECK(crew.place_is_empty());
  }
}

TEST_CASE("rendezvous: eval divides the images, among processes that a launcher has numbered") {
  const Crew crew;
  if (!crew) return;
  write_tiny_scenes(crew.trial.folder / "data", 5, "val");
  auto train = crew.train("run");
  train.erase(train.begin());
  REQUIRE(run_program(crew.trial.program, train).status == 0);
  const auto eval = [&](const std::string& name, const std::vector<std::vector<std::string>>& variables) {
    std::vector<std::unique_ptr<Process>> group;
    for (const auto& own : variables) {
      std::vector<std::string> words = {"/usr/bin/env"};
      words.insert(words.end(), own.begin(), own.end());
      words.insert(words.end(),
                   {crew.trial.program.string(), "eval", "--weights", crew.trial.path("run/best.safetensors"),
                    "--data", crew.trial.path("data"), "--split", "val", "--json", crew.trial.path(name)});
      if (!own.empty()) words.insert(words.end(), {"--rendezvous", crew.place()});
      group.push_back(std::make_unique<Process>(words));
    }
    for (const auto& process : group) {
      CHECK(process->wait_briefly() == 0);
      CHECK_MESSAGE(process->err().empty(), process->err());
    }
    return content_of(crew.trial.folder / name);
  };
  const std::string expected = eval("one.json", {{}});
  CHECK(contains(expected, "map50"));
  CHECK(eval("two.json", {{"SLURM_PROCID=0", "SLURM_NTASKS=2"}, {"SLURM_PROCID=1", "SLURM_NTASKS=2"}}) ==
        expected);
}

TEST_CASE("rendezvous: what one process finds wrong ends all, and the others say which has gone") {
  const Crew crew;
  if (!crew) return;
  auto second = crew.train("out");
  std::replace(second.begin(), second.end(), crew.trial.path("data"), crew.trial.path("missing"));
  const auto begin = std::chrono::steady_clock::now();
  const auto one = crew.start_one(0, 2, crew.train("out")), two = crew.start_one(1, 2, second);
  CHECK(one->wait_briefly() == 1);
  CHECK(two->wait_briefly() == 2);
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(20));
  CHECK(contains(two->err(), "rcnn: rank 1 ("));
  CHECK(contains(two->err(), "missing"));
  CHECK(contains(one->err(), "rcnn: rank 0 ("));
  CHECK_MESSAGE(contains(one->err(), ") has ended, and has not reached "), one->err());
}

TEST_CASE("rendezvous: a process that is killed ends the others, and one goes on to the same bytes") {
  const Crew crew;
  if (!crew) return;
  const std::vector<std::string> steps = {"--steps", "16", "--checkpoint-every", "3"};
  auto whole = crew.train("one", steps);
  whole.erase(whole.begin());
  REQUIRE(run_program(crew.trial.program, whole).status == 0);
  auto group = crew.start(crew.train("killed", steps), 2);
  group[0]->wait_briefly_until([&] { return crew.steps_in("killed") >= 5; }, "step 5");
  group[1]->signal(SIGKILL);
  CHECK(group[0]->wait_briefly() == 1);
  CHECK(contains(group[0]->err(), "rank 1 ("));
  CHECK(contains(group[0]->err(), "has ended, and has not reached step "));
  CHECK(contains(group[0]->err(), "; last checkpoint step "));
  CHECK(crew.steps_in("killed") < 16);
  auto rest = crew.train("killed", steps);
  rest.erase(rest.begin());
  rest.emplace_back("--resume");
  const Finished resumed = run_program(crew.trial.program, rest);
  REQUIRE_MESSAGE(resumed.status == 0, resumed.err);
  check_same_results(crew.trial.folder / "one", crew.trial.folder / "killed");
}

TEST_CASE("rendezvous: a signal to one process stops all after a step, with a checkpoint") {
  const Crew crew;
  if (!crew) return;
  auto group = crew.start(crew.train("out", {"--steps", "100000"}), 2);
  group[0]->wait_briefly_until([&] { return crew.steps_in("out") >= 2; }, "step 2");
  group[1]->signal(SIGTERM);
  for (const auto& process : group) CHECK(process->wait_briefly() == 128 + SIGTERM);
  CHECK_MESSAGE(contains(group[0]->err(), "resume with:\n  rcnn train --data "), group[0]->err());
  CHECK(group[1]->err().empty());
  const auto checkpoint = read_safetensors(crew.trial.folder / "out" / "last.safetensors");
  CHECK(checkpoint.metadata.at("step") == std::to_string(crew.steps_in("out")));
}

TEST_CASE("rendezvous: a process that never starts is named after the time that is set") {
  Crew crew;
  if (!crew) return;
  crew.environment.set("RCNN_START_TIMEOUT", "1");
  const auto first = crew.start_one(0, 3, crew.train("out")),
             second = crew.start_one(1, 3, crew.train("out"));
  CHECK(first->wait_briefly() == 1);
  CHECK(second->wait_briefly() == 1);
  for (const auto* one : {&first, &second})
    CHECK_MESSAGE(
        contains((*one)->err(), "rank 2 of 3 processes has not come to " + crew.place() + " within 1 s: "),
        (*one)->err());
  CHECK(crew.place_is_empty());
  CHECK_FALSE(fs::exists(crew.trial.folder / "out"));
}

TEST_CASE("rendezvous: mistakes on the command line") {
  Crew crew;
  if (!crew) return;
  const auto fault = [&](const std::vector<std::string>& more) {
    auto words = crew.train("out", more);
    words.erase(words.begin());
    const Finished found = run_program(crew.trial.program, words);
    CHECK(found.status == 2);
    CHECK(found.out.empty());
    return found.err;
  };
  for (const char* name : {"RANK", "WORLD_SIZE", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK"})
    crew.environment.remove(name);
  CHECK(contains(fault({"--rendezvous", crew.place()}), "which of how many processes is this one?"));
  crew.environment.set("RANK", "2");
  crew.environment.set("WORLD_SIZE", "2");
  CHECK(contains(fault({"--rendezvous", crew.place()}), "RANK=2, WORLD_SIZE=2: expected a rank of 0 to 1"));
  CHECK(contains(fault({}),
                 "say that this is one of 2 processes, which have no place to meet: expected --rendezvous"));
  crew.environment.remove("RANK");
  crew.environment.remove("WORLD_SIZE");
  CHECK(contains(fault({"--rendezvous", ""}), "expected the name of a folder"));
  const Finished eval = crew.trial.run(
      {"eval", "--detections", "x", "--data", crew.trial.path("data"), "--rendezvous", crew.place()});
  CHECK(eval.status == 2);
  CHECK(contains(eval.err, "with --detections there is one process"));
}

TEST_CASE("rendezvous: simulated GPUs of processes without MPI, with NCCL's calls and without") {
  Crew crew;
  if (!crew) return;
  if (!contains(crew.version, "simulated CUDA")) {
    MESSAGE("skipped: no simulated GPU (make CUDA=sim)");
    return;
  }
  const std::vector<std::string> short_run = {"--steps", "2"};
  const auto on_gpus = [&](std::vector<std::string> more) {
    more.insert(more.end(), short_run.begin(), short_run.end());
    return more;
  };
  Process one(crew.train("one", on_gpus({"--device", "cuda"})));
  REQUIRE(one.wait_briefly() == 0);
  for (const bool linked : {true, false}) {
    CAPTURE(linked);
    if (!linked) crew.environment.set("RCNN_VENDOR_LIBRARIES", "0");
    const std::string out = linked ? "linked" : "apart";
    const auto group = crew.start(crew.train(out, on_gpus({"--device", "cuda"})), 2);
    for (const auto& process : group) {
      CHECK(process->wait_briefly() == 0);
      CHECK_MESSAGE(process->err().empty(), process->err());
    }
    CHECK(contains(group[0]->out(), linked ? "gradients pass from GPU to GPU (simulated NCCL)"
                                           : "gradients pass through the memory of the host: rank 0 ("));
    check_same_results(crew.trial.folder / "one", crew.trial.folder / out);
  }
  if (contains(crew.version, "MPI")) return;  // which --gpus then uses
  Process two(crew.train("gpus", on_gpus({"--gpus", "2"})));
  CHECK(two.wait_briefly() == 0);
  CHECK_MESSAGE(two.err().empty(), two.err());
  CHECK(contains(two.out(), ") on cuda:0, rank 1 ("));
  check_same_results(crew.trial.folder / "one", crew.trial.folder / "gpus");
}
