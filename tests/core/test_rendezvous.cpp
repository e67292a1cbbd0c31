// Which of how many processes this is, and where they meet.
#include "core/world/rendezvous.h"

#include "core/error.h"
#include "tests/program.h"

using namespace rcnn;
using namespace rcnn::fixtures;
namespace fs = std::filesystem;

namespace {

/// An environment without the variables of any launcher, and with these.
struct Launched : Environment {
  explicit Launched(std::initializer_list<std::pair<const char*, const char*>> variables) {
    for (const char* name : {"RANK", "WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "PMI_RANK",
                             "PMI_SIZE", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_NTASKS",
                             "SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_RESTART_COUNT", "RCNN_RENDEZVOUS"})
      remove(name);
    for (const auto& [name, text] : variables) set(name, text);
  }
};

std::string fault_of(std::initializer_list<std::pair<const char*, const char*>> variables) {
  const Launched environment(variables);
  try {
    static_cast<void>(find_rendezvous("meet"));
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE(
    "rendezvous: the place is that of the option or of the environment, and the rank that of the launcher") {
  {
    const Launched environment({});
    CHECK_FALSE(find_rendezvous("").has_value());
    CHECK_FALSE(has_rendezvous_in_environment());
    CHECK(rank_in_environment() == 0);
  }
  {
    const Launched environment({{"RCNN_RENDEZVOUS", "there"}, {"RANK", "1"}, {"WORLD_SIZE", "3"}});
    CHECK(has_rendezvous_in_environment());
    CHECK(rank_in_environment() == 1);
    const auto found = find_rendezvous("");
    REQUIRE(found.has_value());
    CHECK(found->folder == "there");
    CHECK(found->rank == 1);
    CHECK(found->ranks == 3);
    CHECK(found->key == "run");
    CHECK(find_rendezvous("here")->folder == "here");
  }
  {  // torchrun's variables, which --gpus sets too, come before those of the job around it
    const Launched environment({{"RANK", "2"},
                                {"WORLD_SIZE", "4"},
                                {"SLURM_PROCID", "0"},
                                {"SLURM_NTASKS", "1"},
                                {"SLURM_JOB_ID", "77"},
                                {"SLURM_STEP_ID", "5"},
                                {"SLURM_RESTART_COUNT", "1"}});
    CHECK(find_rendezvous("meet")->rank == 2);
    CHECK(find_rendezvous("meet")->key == "job-77.5.1");
  }
  {
    const Launched environment({{"SLURM_PROCID", "3"}, {"SLURM_NTASKS", "8"}, {"SLURM_STEP_NUM_TASKS", "4"}});
    CHECK(find_rendezvous("meet")->rank == 3);
    CHECK(find_rendezvous("meet")->ranks == 4);
  }
}

TEST_CASE("rendezvous: what is missing or wrong in the environment is said") {
  CHECK(contains(fault_of({}),
                 "which of how many processes is this one? Expected the variables RANK and WORLD_SIZE"));
  CHECK(contains(fault_of({{"RANK", "1"}}), "which of how many"));
  CHECK(fault_of({{"RANK", "one"}, {"WORLD_SIZE", "2"}}) == "RANK=one: expected a whole number of 0 or more");
  CHECK(fault_of({{"RANK", "-1"}, {"WORLD_SIZE", "2"}}) == "RANK=-1: expected a whole number of 0 or more");
  CHECK(fault_of({{"RANK", "2"}, {"WORLD_SIZE", "2"}}) == "RANK=2, WORLD_SIZE=2: expected a rank of 0 to 1");
  CHECK(fault_of({{"RANK", "0"}, {"WORLD_SIZE", "0"}}) == "WORLD_SIZE=0: expected 1 to 65536 processes");
}

TEST_CASE("rendezvous: rank 0 makes the place and takes it away, and nothing else") {
  const TemporaryFolder folder;
  const fs::path meet = folder / "meet";
  {
    const MeetingPlace place({.folder = meet, .rank = 0, .ranks = 2, .key = "job-1"}, 1);
    CHECK(place.folder() == meet / "rcnn-job-1");
    CHECK(fs::is_directory(place.folder()));
    const MeetingPlace other({.folder = meet, .rank = 1, .ranks = 2, .key = "job-1"}, 1);
    CHECK(other.folder() == place.folder());
    CHECK_THROWS_AS(MeetingPlace({.folder = meet, .rank = 0, .ranks = 2, .key = "job-1"}, 1), InputError);
    CHECK(fs::is_directory(place.folder()));
    write_text(meet / "mine", "text");
  }
  CHECK_FALSE(fs::exists(meet / "rcnn-job-1"));
  CHECK(content_of(meet / "mine") == "text");
  CHECK_THROWS_AS(MeetingPlace({.folder = meet, .rank = 1, .ranks = 2, .key = "job-1"}, 0.01), Error);
  CHECK_THROWS_AS(MeetingPlace({.folder = meet / "mine", .rank = 0, .ranks = 2, .key = "a"}, 1), InputError);
}
