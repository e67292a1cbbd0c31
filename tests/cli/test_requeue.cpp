// rcnn train --requeue: what Slurm is asked to do, and when. A script stands for scontrol.
#include <csignal>

#include "tests/program.h"
#include "tests/train/tiny_run.h"

using namespace rcnn;
using namespace rcnn::fixtures;
namespace fs = std::filesystem;

namespace {

/// The program in a job with the number 77, whose scontrol keeps its arguments.
struct Job : ProgramTrial {
  Environment environment;

  explicit Job(int status = 0) {
    write_tiny_scenes(folder / "data", 4);
    const fs::path script = folder / "bin/scontrol";
    write_text(script, fmt::format("#!/bin/sh\necho \"$@\" >>'{}'\nexit {}\n", path("asked"), status));
    fs::permissions(script, fs::perms::owner_all);
    environment.set("PATH", path("bin"));
    environment.set("SLURM_JOB_ID", "77");
  }
  std::vector<std::string> train(const std::string& steps, const std::vector<std::string>& more) const {
    std::vector<std::string> words = {"train", "--data", path("data"), "--out", path("out")};
    for (const auto& [key, text] : tiny_settings())
      words.insert(words.end(), {"--" + key, key == "steps" ? steps : text});
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  /// Stops a run with a signal after its first steps. Returns what it said on standard error.
  std::string stopped_by(int signal, const std::vector<std::string>& more) const {
    std::vector<std::string> words = train("100000", more);
    words.insert(words.begin(), program.string());
    Process run(words);
    run.wait_until([&] { return !content_of(folder / "out/metrics.jsonl").empty(); });
    run.signal(signal);
    CHECK(run.wait() == 128 + signal);
    CHECK(fs::exists(folder / "out/last.safetensors"));
    fs::remove_all(folder / "out");
    return run.err();
  }
  std::string asked() const { return content_of(folder / "asked"); }
};

}  // namespace

TEST_CASE("requeue: a job that Slurm is about to end is requeued, after its checkpoint") {
  const Job job;
  if (!job) return;
  std::string asked;
  for (const int signal : {SIGTERM, SIGUSR1}) {
    CAPTURE(signal);
    const std::string said = job.stopped_by(signal, {"--resume", "--requeue"});
    asked += "requeue 77\n";
    CHECK(job.asked() == asked);
    CHECK(said.find("stopped after step ") < said.find("rcnn: job 77 was requeued\n"));
    CHECK(contains(said, "rcnn: job 77 was requeued\n"));
  }
}

TEST_CASE("requeue: what a person ends, what is complete and what is wrong is not run again") {
  const Job job;
  if (!job) return;
  job.stopped_by(SIGINT, {"--resume", "--requeue"});
  job.stopped_by(SIGTERM, {"--resume"});
  CHECK(job.run(job.train("2", {"--resume", "--requeue"})).status == 0);
  CHECK(job.run(job.train("2", {"--resume", "--requeue", "--weight-decay", "0.5"})).status == 2);
  CHECK(job.asked().empty());
}

TEST_CASE("requeue: a refusal of Slurm is said, and the status stays that of the run") {
  const Job job(3);
  if (!job) return;
  const std::string said = job.stopped_by(SIGTERM, {"--resume", "--requeue"});
  CHECK(contains(said, "rcnn: job 77 was not requeued: `scontrol requeue 77` ended with 3\n"));
  CHECK(job.asked() == "requeue 77\n");
}

TEST_CASE("requeue: outside of a job, without scontrol or without --resume it is refused at the start") {
  Job job;
  if (!job) return;
  const auto error = [&](const std::vector<std::string>& more) {
    const Finished found = job.run(job.train("2", more));
    CHECK(found.status == 2);
    CHECK_FALSE(fs::exists(job.folder / "out"));
    return found.err;
  };
  CHECK(error({"--requeue"}) ==
        "rcnn: --requeue needs --resume: the job begins again with the same command\n");
  for (const char* number : {"seventy", "77_", "_4", "77 ", "77;ls", "-77", "77_4_1", "+7"}) {
    CAPTURE(number);
    job.environment.set("SLURM_JOB_ID", number);
    CHECK(error({"--requeue", "--resume"}) ==
          fmt::format(
              "rcnn: --requeue: SLURM_JOB_ID is '{}'; expected the number of a job, as in 123, or as in "
              "123_4 of a job array\n",
              number));
  }
  job.environment.set("SLURM_JOB_ID", "77_4");
  job.environment.set("PATH", job.path("data"));
  CHECK(error({"--requeue", "--resume"}) == "rcnn: --requeue: there is no scontrol in the folders of PATH\n");
  job.environment.remove("SLURM_JOB_ID");
  CHECK(error({"--requeue", "--resume"}) ==
        "rcnn: --requeue: SLURM_JOB_ID is not set, so this is no job of Slurm\n");
}
