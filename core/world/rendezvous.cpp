#include "core/world/rendezvous.h"

#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdlib>
#include <string_view>
#include <system_error>

#include "core/error.h"
#include "core/world/patience.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;

/// A launcher's variables for the rank of a process and for the number of processes.
struct LauncherVariables {
  const char *rank, *ranks;
};
/// torchrun's come first: --gpus sets them, also within a job of Slurm.
constexpr LauncherVariables kLaunchers[] = {{"RANK", "WORLD_SIZE"},
                                            {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
                                            {"PMI_RANK", "PMI_SIZE"},
                                            {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS"},
                                            {"SLURM_PROCID", "SLURM_NTASKS"}};

std::string variable(const char* name) {
  const char* text = std::getenv(name);
  return text ? text : "";
}

int whole_variable(const char* name) {
  const std::string text = variable(name);
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  check_input(error == std::errc() && end == text.data() + text.size() && number >= 0,
              "{}={}: expected a whole number of 0 or more", name, text);
  return number;
}

const LauncherVariables* launcher() {
  for (const LauncherVariables& one : kLaunchers)
    if (!variable(one.rank).empty() && !variable(one.ranks).empty()) return &one;
  return nullptr;
}

}  // namespace

bool has_rendezvous_in_environment() { return !variable("RCNN_RENDEZVOUS").empty(); }

int rank_in_environment() {
  const LauncherVariables* found = launcher();
  return found ? std::atoi(variable(found->rank).c_str()) : 0;
}

std::optional<Rendezvous> find_rendezvous(const std::string& folder) {
  Rendezvous found;
  found.folder = folder.empty() ? variable("RCNN_RENDEZVOUS") : folder;
  if (found.folder.empty()) return {};
  const LauncherVariables* names = launcher();
  check_input(names,
              "--rendezvous {}: which of how many processes is this one? Expected the variables RANK and "
              "WORLD_SIZE, or those of srun (SLURM_PROCID, SLURM_NTASKS) or mpirun",
              found.folder.string());
  found.rank = whole_variable(names->rank);
  found.ranks = whole_variable(names->ranks);
  check_input(found.ranks >= 1 && found.ranks <= 65536, "{}={}: expected 1 to 65536 processes", names->ranks,
              found.ranks);
  check_input(found.rank < found.ranks, "{}={}, {}={}: expected a rank of 0 to {}", names->rank, found.rank,
              names->ranks, found.ranks, found.ranks - 1);
  if (const std::string job = variable("SLURM_JOB_ID"); !job.empty())
    found.key = fmt::format("job-{}.{}.{}", job, variable("SLURM_STEP_ID"), variable("SLURM_RESTART_COUNT"));
  return found;
}

MeetingPlace::MeetingPlace(const Rendezvous& rendezvous, double seconds)
    : folder_(rendezvous.folder / ("rcnn-" + rendezvous.key)) {
  std::error_code failed;
  if (rendezvous.rank == 0) {
    fs::create_directory(rendezvous.folder, failed);
    made_ = fs::create_directory(folder_, failed);
    check_input(!failed, "--rendezvous {}: the folder cannot be made: {}", folder_.string(),
                failed.message());
    check_input(made_,
                "--rendezvous {}: the folder exists, so another run meets there, or one was killed in its "
                "first moments; expected another --rendezvous, or this folder removed",
                folder_.string());
    return;
  }
  for (Patience patience(seconds); !fs::is_directory(folder_, failed);)
    check(
        patience.rest(),
        "rank 0 of {} processes has not come to {} within {:g} s: it does not run, or does not see the same "
        "folder (RCNN_START_TIMEOUT=SECONDS waits longer)",
        rendezvous.ranks, folder_.string(), seconds);
}

MeetingPlace::~MeetingPlace() {
  std::error_code failed;
  if (made_) fs::remove_all(folder_, failed);
}

std::optional<int> number_in_environment(std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (const char* text = std::getenv(name); text && *text) return std::atoi(text);
  return {};
}

std::string host_name() {
  std::array<char, 256> name{};
  ::gethostname(name.data(), name.size() - 1);
  return name.data();
}

double start_timeout() {
  const char* text = std::getenv("RCNN_START_TIMEOUT");
  if (!text || !*text) return 120;
  char* end = nullptr;
  const double seconds = std::strtod(text, &end);
  check_input(*end == 0 && seconds >= 0 && seconds <= 1e6,
              "RCNN_START_TIMEOUT={}: expected seconds between 0 and 1000000", text);
  return seconds;
}

}  // namespace rcnn
