#include "core/world/rendezvous.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string_view>
#include <system_error>
#include <thread>

#include "core/error.h"
#include "core/files/atomic_file.h"
#include "core/files/output.h"
#include "core/files/retry.h"
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

// ---- the place ----------------------------------------------------------------------------------------
namespace {

constexpr size_t kTokenLength = 32;

bool is_token(std::string_view word) {
  return word.size() == kTokenLength && word.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string make_token() {
  std::array<unsigned char, kTokenLength / 2> bytes{};
  check(::getrandom(bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()),
        "the system gives no random numbers");
  std::string word;
  for (const unsigned char byte : bytes) word += fmt::format("{:02x}", byte);
  return word;
}

/// The beginning of a small file; "" if there is none.
std::string text_of(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::string text(4096, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(stream.gcount()));
  return text;
}

std::string head() { return fmt::format("rendezvous 1, {}\n", kWrittenHere); }

/// The token of the start that meets there; "" if there is none.
std::string token_in(const fs::path& root) {
  const std::string text = text_of(root / "meeting");
  if (!text.starts_with(head())) return "";
  const std::string token = text.substr(head().size(), kTokenLength);
  return is_token(token) ? token : "";
}

void look_again_soon() { std::this_thread::sleep_for(std::chrono::milliseconds(20)); }

}  // namespace

MeetingPlace::MeetingPlace(const Rendezvous& rendezvous, double seconds)
    : rendezvous_(rendezvous), root_(rendezvous.folder / ("rcnn-" + rendezvous.key)) {
  if (rendezvous.rank == 0) {
    make();
    return;
  }
  for (Patience patience(seconds); !join(); look_again_soon())
    check(
        patience.rest(),
        "rank 0 of {} processes has not come to {} within {:g} s: it does not run, or does not see the same "
        "folder (RCNN_START_TIMEOUT=SECONDS waits longer)",
        rendezvous.ranks, rendezvous.folder.string(), seconds);
}

void MeetingPlace::make() {
  std::error_code failed;
  fs::create_directory(rendezvous_.folder, failed);
  fs::create_directory(root_, failed);
  check_input(!failed, "--rendezvous {}: the folder {} cannot be made: {}", rendezvous_.folder.string(),
              root_.string(), failed.message());
  std::vector<fs::path> left;
  for (const auto& entry : listed_folder(root_, failed)) {
    const std::string name = entry.path().filename().string();
    if (is_token(name)) left.push_back(entry.path());
    check_input(is_token(name) || name == "lock" || name == "meeting" || name.starts_with(".rcnn-tmp-"),
                "--rendezvous {}: {} holds {}; expected a folder in which only processes meet",
                rendezvous_.folder.string(), root_.string(), name);
  }
  check_input(!failed, "--rendezvous {}: {}: {}", rendezvous_.folder.string(), root_.string(),
              failed.message());
  lock_ = ::open((root_ / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  check_input(lock_ >= 0, "--rendezvous {}: {} cannot be written: {}", rendezvous_.folder.string(),
              (root_ / "lock").string(), std::strerror(errno));
  if (::flock(lock_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    ::close(lock_);
    lock_ = -1;
    throw InputError(fmt::format("--rendezvous {}: another run meets there; expected another folder",
                                 rendezvous_.folder.string()));
  }
  for (const fs::path& folder : left) fs::remove_all(folder, failed);
  const std::string token = make_token();
  folder_ = root_ / token;
  fs::create_directory(folder_, failed);
  check_input(!failed, "--rendezvous {}: {} cannot be made: {}", rendezvous_.folder.string(),
              folder_.string(), failed.message());
  write_atomically(root_ / "meeting", head() + token + "\n");
}

/// Whether rank 0 has come. Leaves the place of an earlier start.
bool MeetingPlace::join() {
  const std::string token = token_in(root_);
  if (token.empty()) return false;
  folder_ = root_ / token;
  return true;
}

MeetingPlace::~MeetingPlace() {
  if (lock_ < 0) return;
  std::error_code failed;
  fs::remove(root_ / "meeting", failed);
  fs::remove_all(folder_, failed);
  fs::remove(root_ / "lock", failed);
  ::close(lock_);
  fs::remove(root_, failed);  // unless it holds something else
}

std::vector<std::string> MeetingPlace::gather_hosts(double seconds) {
  const auto file_of = [&](int rank) { return folder_ / fmt::format("rank-{}", rank); };
  const auto all = static_cast<size_t>(rendezvous_.ranks), me = static_cast<size_t>(rendezvous_.rank);
  std::vector<std::string> hosts(all);  // "" of those that have not come
  fs::path written;                     // by this process
  size_t here = 0;
  for (Patience patience(seconds); here < all; look_again_soon()) {
    if (me > 0) join();
    if (written != file_of(rendezvous_.rank)) {  // of this start, not of one before
      const int file =
          ::open(file_of(rendezvous_.rank).c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
      check_input(
          file >= 0 || errno != EEXIST,
          "--rendezvous {}: another process calls itself rank {} too, perhaps one of an earlier start",
          rendezvous_.folder.string(), rendezvous_.rank);
      if (file >= 0) {
        const std::string text = fmt::format("{} {}\n", rendezvous_.ranks, host_name());
        check(::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()),
              "{} cannot be written: {}", file_of(rendezvous_.rank).string(), std::strerror(errno));
        ::close(file);
        written = file_of(rendezvous_.rank);
        hosts.assign(all, "");
        here = 0;
      }
    }
    for (int i = 0; i < rendezvous_.ranks && !written.empty(); ++i) {
      std::string& host = hosts[static_cast<size_t>(i)];
      if (!host.empty()) continue;
      const std::string text = text_of(file_of(i));
      const size_t space = text.find(' ');
      if (space == std::string::npos || !text.ends_with('\n')) continue;
      host = text.substr(space + 1, text.size() - space - 2);
      ++here;
      check_input(text.substr(0, space) == std::to_string(rendezvous_.ranks),
                  "rank {} ({}) was told that it is one of {} processes, and rank {} that it is one of {}", i,
                  host, text.substr(0, space), rendezvous_.rank, rendezvous_.ranks);
    }
    if (here == all || patience.rest()) continue;
    std::string missing;
    size_t count = 0;
    constexpr size_t kNamed = 8;
    for (size_t i = 0; i < all; ++i)
      if (hosts[i].empty() && i != me && ++count <= kNamed)
        missing += fmt::format("{}rank {}", count == 1 ? "" : ", ", i);
    if (count > kNamed) missing += fmt::format(" and {} others", count - kNamed);
    throw Error(fmt::format(
        "{} of {} processes {} not come to {} within {:g} s: {} (RCNN_START_TIMEOUT=SECONDS waits longer)",
        missing, all, count == 1 ? "has" : "have", rendezvous_.folder.string(), seconds,
        count == 1 ? "it does not run, or does not see the same folder"
                   : "they do not run, or do not see the same folder"));
  }
  return hosts;
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
