// Which of how many processes this is, and where they meet.
#include "core/world/rendezvous.h"

#include <chrono>
#include <thread>

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

/// What an Error says that this throws.
template <class Work>
std::string fault_in(const Work& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

std::string fault_of(std::initializer_list<std::pair<const char*, const char*>> variables) {
  const Launched environment(variables);
  return fault_in([] { static_cast<void>(find_rendezvous("meet")); });
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
  const Rendezvous first{.folder = meet, .rank = 0, .ranks = 2, .key = "job-1"},
      second{.folder = meet, .rank = 1, .ranks = 2, .key = "job-1"};
  {
    const MeetingPlace place(first, 1);
    CHECK(place.folder().parent_path() == meet / "rcnn-job-1");
    CHECK(fs::is_directory(place.folder()));
    const MeetingPlace other(second, 1);
    CHECK(other.folder() == place.folder());
    CHECK(fault_in([&] { const MeetingPlace again(first, 1); }) ==
          fmt::format("--rendezvous {}: another run meets there; expected another folder", meet.string()));
    CHECK(fs::is_directory(place.folder()));
    write_text(meet / "mine", "text");
  }
  CHECK_FALSE(fs::exists(meet / "rcnn-job-1"));
  CHECK(content_of(meet / "mine") == "text");
  CHECK_THROWS_AS(MeetingPlace(second, 0.01), Error);
  CHECK_THROWS_AS(MeetingPlace({.folder = meet / "mine", .rank = 0, .ranks = 2, .key = "a"}, 1), InputError);
}

TEST_CASE("rendezvous: what a killed start has left is taken over, and what is somebody else's is not") {
  const TemporaryFolder folder;
  const fs::path root = folder / "rcnn-run", old = root / "0123456789abcdef0123456789abcdef";
  const Rendezvous first{.folder = folder.path(), .rank = 0, .ranks = 2},
      second{.folder = folder.path(), .rank = 1, .ranks = 2};
  fs::create_directories(old);
  write_text(old / "rank-1", "2 elsewhere\n");
  write_text(root / "lock", "");
  write_text(root / "meeting", "rendezvous 1, written by rcnn.cu\n" + old.filename().string() + "\n");
  {
    MeetingPlace late(second, 1);  // came before rank 0 had begun anew
    CHECK(late.folder() == old);
    fs::remove(old / "rank-1");
    std::thread other([&] {
      const MeetingPlace place(first, 1);
      for (int i = 0; i < 500 && !fs::exists(place.folder() / "rank-1"); ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
      write_text(place.folder() / "rank-0", "2 here\n");
      for (int i = 0; i < 100 && fs::exists(place.folder() / "rank-0"); ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    });
    CHECK(late.gather_hosts(10) == std::vector<std::string>{"here", host_name()});
    CHECK(late.folder() != old);
    other.join();
  }
  CHECK_FALSE(fs::exists(root));
  fs::create_directories(root);
  write_text(root / "mine", "text");
  CHECK(contains(fault_in([&] { const MeetingPlace place(first, 1); }),
                 "rcnn-run holds mine; expected a folder in which only processes meet"));
  CHECK_THROWS_AS(MeetingPlace(second, 0.01), Error);
  CHECK(std::distance(fs::directory_iterator(root), {}) == 1);
}

TEST_CASE("rendezvous: those that do not come are named, soon and not all, and two of one rank are refused") {
  const TemporaryFolder folder;
  MeetingPlace place({.folder = folder.path(), .rank = 0, .ranks = 400}, 1);
  const auto begin = std::chrono::steady_clock::now();
  const std::string fault = fault_in([&] { place.gather_hosts(0.2); });
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(5));
  CHECK(fault.starts_with(
      "rank 1, rank 2, rank 3, rank 4, rank 5, rank 6, rank 7, rank 8 and 391 others of 400 "
      "processes have not come to "));
  CHECK(contains(fault_in([&] { place.gather_hosts(0.2); }), "another process calls itself rank 0 too"));
}
