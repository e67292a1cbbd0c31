// Where the processes of a run meet that no MPI connects, and which of them this one is.
#pragma once

#include <filesystem>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

namespace rcnn {

struct Rendezvous {
  std::filesystem::path folder;  // that all processes see
  int rank = 0, ranks = 1;
  std::string key = "run";  // a word that other runs which meet in this folder do not have
};

/// From the environment: RANK and WORLD_SIZE, as torchrun sets them, or the variables of srun or mpirun; the
/// key is the number of Slurm's job. `folder` is that of the command line; "": RCNN_RENDEZVOUS names it.
/// Nothing if neither does. Throws InputError if the variables are missing or wrong.
std::optional<Rendezvous> find_rendezvous(const std::string& folder);
/// Whether RCNN_RENDEZVOUS names a folder.
bool has_rendezvous_in_environment();
/// The rank that the environment names, for processes that have not joined the others yet; 0 if it names
/// none.
int rank_in_environment();

/// Where the processes of one start leave word for each other: FOLDER/rcnn-KEY/TOKEN. The token, which
/// FOLDER/rcnn-KEY/meeting names, is another for each start, so what a start that was killed has left is not
/// taken for this one's.
class MeetingPlace {
 public:
  /// Rank 0 makes it, and keeps it locked while it lives; it takes over what a killed start has left. The
  /// others wait for it, at most so many seconds (0: for ever). Throws InputError if another run meets there,
  /// or if the folder holds something else; Error if rank 0 does not come.
  MeetingPlace(const Rendezvous& rendezvous, double seconds);
  /// Rank 0 removes it.
  ~MeetingPlace();
  MeetingPlace(const MeetingPlace&) = delete;
  MeetingPlace& operator=(const MeetingPlace&) = delete;

  /// Waits for all ranks, so many seconds, and returns the machine of each. Throws Error that names those
  /// that do not come, and InputError if two have the same rank or were told different numbers of processes.
  std::vector<std::string> gather_hosts(double seconds);
  /// For this start's messages.
  const std::filesystem::path& folder() const { return folder_; }

 private:
  void make();
  bool join();

  Rendezvous rendezvous_;
  std::filesystem::path root_, folder_;
  int lock_ = -1;  // rank 0's, open while it lives
};

/// A number in one of these variables, of which launchers set one or another.
std::optional<int> number_in_environment(std::initializer_list<const char*> names);
std::string host_name();
/// How long processes wait for each other at the start, in seconds: RCNN_START_TIMEOUT, or 120; 0: for ever.
double start_timeout();

}  // namespace rcnn
