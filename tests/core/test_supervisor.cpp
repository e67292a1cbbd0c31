// Several processes of one command, started without mpirun.
#include "core/world/supervisor.h"

#include "tests/core/processes.h"

using namespace rcnn;
using namespace rcnn::fixtures;
namespace fs = std::filesystem;

namespace {

/// Runs a script in so many processes, in a process of its own.
RankEnd supervise(int processes, const std::string& script, double seconds_to_end = 10) {
  const auto begin = std::chrono::steady_clock::now();
  RankEnd end = run_forked(1, [&](int) {
                  const int status = run_as_ranks({"/bin/sh", "-c", script}, processes, seconds_to_end);
                  ::_exit(status);
                }).front();
  end.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return end;
}

}  // namespace

TEST_CASE("supervisor: each process has a rank of its own, and all have the place to meet") {
  const TemporaryFolder folder;
  Environment environment;
  environment.set("RCNN_RENDEZVOUS", "of the caller");
  environment.set("RANK", "9");
  environment.set("WORLD_SIZE", "10");
  const RankEnd end = supervise(
      3, "test -d \"$RCNN_RENDEZVOUS\" && env | grep -E '^(RANK|WORLD_SIZE|RCNN_RENDEZVOUS)=' | sort >" +
             (folder / "seen").string() + ".$RANK");
  CHECK(end.status == 0);
  CHECK(end.said.empty());
  std::string place;
  for (const int rank : {0, 1, 2}) {
    const std::string seen = content_of(folder / fmt::format("seen.{}", rank));
    const std::string head = fmt::format("RANK={}\nRCNN_RENDEZVOUS=/", rank);
    REQUIRE(seen.starts_with(head));
    const std::string its = seen.substr(head.size() - 1, seen.find('\n', head.size()) - head.size() + 1);
    CHECK(seen.ends_with("\nWORLD_SIZE=3\n"));
    CHECK((rank == 0 || its == place));
    place = its;
  }
  CHECK_FALSE(fs::exists(place));
  CHECK_FALSE(fs::exists(folder / "seen.9"));
}

TEST_CASE("supervisor: the status is that of the first process that fails, and the others are ended") {
  CHECK(supervise(2, "exit 0").status == 0);
  CHECK(supervise(3, "test $RANK = 1 || exit 0; exit 7").status == 7);
  const RankEnd slow = supervise(3, "test $RANK = 2 && exit 3; exec sleep 30", 0.3);
  CHECK(slow.status == 3);
  CHECK(slow.seconds < 10);
  CHECK(slow.said.empty());
  const RankEnd killed = supervise(2, "test $RANK = 1 && kill -9 $$; sleep 0.5; exit 1");
  CHECK(killed.status == 128 + SIGKILL);
  CHECK(contains(killed.said, "rcnn: rank 1 (process "));
  CHECK(contains(killed.said, ") was ended by signal 9 (Killed)\n"));
}

TEST_CASE("supervisor: a process that is stopped does not hold up the end") {
  const RankEnd stopped = supervise(2, "test $RANK = 1 && kill -STOP $$; exit 1", 0.3);
  CHECK(stopped.status == 1);
  CHECK(stopped.seconds < 10);
}

TEST_CASE("supervisor: signals are passed on to all processes, and its death ends them") {
  const TemporaryFolder folder;
  const std::string ready = (folder / "ready").string(), end = (folder / "end").string();
  const std::string script = "trap 'echo $RANK >>" + end + "; exit 9' TERM; echo $$ >" + ready +
                             ".$RANK; while :; do sleep 0.05; done";
  for (const int signal : {SIGTERM, SIGKILL}) {
    CAPTURE(signal);
    std::fflush(nullptr);
    const pid_t supervisor = ::fork();
    REQUIRE(supervisor >= 0);
    if (supervisor == 0) ::_exit(run_as_ranks({"/bin/sh", "-c", script}, 2));
    const auto id_of = [&](int rank) {
      return std::atoi(content_of(ready + "." + std::to_string(rank)).c_str());
    };
    for (int i = 0; i < 1000 && (id_of(0) == 0 || id_of(1) == 0); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    const pid_t child = id_of(1);
    REQUIRE(child > 0);
    ::kill(supervisor, signal);
    int status = 0;
    REQUIRE(::waitpid(supervisor, &status, 0) == supervisor);
    if (signal == SIGTERM) {
      CHECK(WEXITSTATUS(status) == 9);
      CHECK(content_of(end).size() == 4);
    }
    for (int i = 0; i < 1000 && ::kill(child, 0) == 0 &&
                    !contains(content_of(fmt::format("/proc/{}/stat", child)), ") Z ");
         ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    const std::string stat = content_of(fmt::format("/proc/{}/stat", child));
    CHECK((stat.empty() || contains(stat, ") Z ")));
    for (const int rank : {0, 1}) fs::remove(ready + "." + std::to_string(rank));
  }
}

TEST_CASE("supervisor: a program that cannot be started") {
  const RankEnd end = run_forked(1, [](int) { ::_exit(run_as_ranks({"/none"}, 2)); }).front();
  CHECK(end.status == 127);
  CHECK(contains(end.said, " cannot be started"));
}
