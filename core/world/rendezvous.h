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

/// The file of this key in the folder: a folder of its own, in which the processes leave their addresses.
/// Rank 0 makes it and takes it away; the others wait for it.
class MeetingPlace {
 public:
  /// Throws InputError if rank 0 cannot make it, or finds that it exists; Error if it does not come within so
  /// many seconds (0: for ever).
  MeetingPlace(const Rendezvous& rendezvous, double seconds);
  ~MeetingPlace();
  MeetingPlace(const MeetingPlace&) = delete;
  MeetingPlace& operator=(const MeetingPlace&) = delete;
  const std::filesystem::path& folder() const { return folder_; }

 private:
  std::filesystem::path folder_;
  bool made_ = false;
};

/// A number in one of these variables, of which launchers set one or another.
std::optional<int> number_in_environment(std::initializer_list<const char*> names);
std::string host_name();
/// How long processes wait for each other at the start, in seconds: RCNN_START_TIMEOUT, or 120; 0: for ever.
double start_timeout();

}  // namespace rcnn
