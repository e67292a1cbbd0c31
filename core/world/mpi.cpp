// Only point-to-point messages are used, and none of them blocks: a rank that waits looks at its messages in
// turn, so it knows for which ranks it waits. MPI moves bytes only while a rank is in one of its calls, so an
// exchange that has begun goes on when it is polled, and at no other time. MPI's own reductions are not used,
// because they add in an order that depends on the number of ranks.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <optional>

#include "core/error.h"
#include "core/world.h"
#include "core/world/mpi.h"
#include "core/world/rendezvous.h"

#if defined(RCNN_MPI)
#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <thread>

#include "core/world/patience.h"
#endif

namespace rcnn {
namespace {

#if defined(RCNN_MPI)

constexpr size_t kMaxMessage = size_t{1} << 30;  // MPI counts in int
constexpr int kTag = 0;                          // of the exchanges that are waited for at once
constexpr int kFirstOpenTag = 1;                 // of channel 0 of the others

class MpiWorld : public World {
 public:
  MpiWorld(int rank, std::vector<std::string> hosts) : World(rank, std::move(hosts)) {}
  void abort(int status) override {
    MPI_Abort(MPI_COMM_WORLD, status);
    std::_Exit(status);  // MPI_Abort does not return
  }

 private:
  class Messages;

  void exchange_with_others(const Outgoing& to, const Incoming& from) override;
  std::unique_ptr<OpenExchange> begin_with_others(int channel, const Outgoing& to, const Incoming& from,
                                                  std::shared_ptr<const void> memory) override;

  std::vector<std::shared_ptr<const void>> abandoned_;  // memory that MPI may still read and write
};

/// The messages of one exchange.
class MpiWorld::Messages : public OpenExchange {
 public:
  Messages(MpiWorld& world, int tag, const Outgoing& to, const Incoming& from,
           std::shared_ptr<const void> memory);
  ~Messages() override {
    if (!done_ && memory_) world_.abandoned_.push_back(std::move(memory_));
  }
  bool poll() override;
  void finish(const std::function<void()>& meanwhile) override;

 private:
  MpiWorld& world_;
  std::vector<MPI_Request> requests_;
  std::vector<int> peers_;  // of each request
  std::shared_ptr<const void> memory_;
  bool done_ = false;
};

MpiWorld::Messages::Messages(MpiWorld& world, int tag, const Outgoing& to, const Incoming& from,
                             std::shared_ptr<const void> memory)
    : world_(world), memory_(std::move(memory)) {
  const auto begin = [&](size_t peer, size_t bytes, const auto& start) {
    for (size_t at = 0; at < bytes; at += kMaxMessage) {
      peers_.push_back(static_cast<int>(peer));
      start(at, static_cast<int>(std::min(kMaxMessage, bytes - at)), &requests_.emplace_back());
    }
  };
  const auto me = static_cast<size_t>(world.rank());
  for (size_t k = 1; k < to.size(); ++k) {  // each rank begins with another one
    const size_t i = (me + to.size() - k) % to.size();
    begin(i, from[i].size(), [&](size_t at, int bytes, MPI_Request* request) {
      MPI_Irecv(from[i].data() + at, bytes, MPI_BYTE, static_cast<int>(i), tag, MPI_COMM_WORLD, request);
    });
  }
  for (size_t k = 1; k < to.size(); ++k) {
    const size_t i = (me + k) % to.size();
    begin(i, to[i].size(), [&](size_t at, int bytes, MPI_Request* request) {
      MPI_Isend(to[i].data() + at, bytes, MPI_BYTE, static_cast<int>(i), tag, MPI_COMM_WORLD, request);
    });
  }
}

bool MpiWorld::Messages::poll() {
  if (done_) return true;
  int done = 0;
  MPI_Testall(static_cast<int>(requests_.size()), requests_.data(), &done, MPI_STATUSES_IGNORE);
  done_ = done != 0;
  if (done_) memory_.reset();
  return done_;
}

void MpiWorld::Messages::finish(const std::function<void()>& meanwhile) {
  for (Patience patience(world_.watch.seconds);;) {
    if (poll()) return;
    meanwhile();
    if (!patience.rest()) break;
  }
  std::vector<int> missing;
  for (size_t i = 0; i < requests_.size(); ++i) {
    int done = 0;
    MPI_Test(&requests_[i], &done, MPI_STATUS_IGNORE);
    if (!done) missing.push_back(peers_[i]);
  }
  if (poll()) return;  // the last ones came just now
  world_.give_up(missing);
}

void MpiWorld::exchange_with_others(const Outgoing& to, const Incoming& from) {
  Messages(*this, kTag, to, from, nullptr).finish([] {});
}

std::unique_ptr<World::OpenExchange> MpiWorld::begin_with_others(int channel, const Outgoing& to,
                                                                 const Incoming& from,
                                                                 std::shared_ptr<const void> memory) {
  return std::make_unique<Messages>(*this, kFirstOpenTag + channel, to, from, std::move(memory));
}

/// Ends this process if MPI_Init does not return: MPI waits there for every process of the job, for ever, and
/// does not say for which.
class StartWatch {
 public:
  explicit StartWatch(double seconds) {
    if (seconds > 0) thread_ = std::thread([this, seconds] { watch(seconds); });
  }
  ~StartWatch() {
    {
      const std::lock_guard lock(mutex_);
      connected_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
  }
  StartWatch(const StartWatch&) = delete;
  StartWatch& operator=(const StartWatch&) = delete;

 private:
  void watch(double seconds) {
    std::unique_lock lock(mutex_);
    // Rank 0 speaks for all; the others wait a little for it to end the job, as it may be the one that is
    // missing.
    const double own = seconds + (launched_rank() > 0 ? 2 : 0);
    if (changed_.wait_for(lock, std::chrono::duration<double>(own), [this] { return connected_; })) return;
    const int processes =
        number_in_environment({"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"}).value_or(0);
    std::fputs(
        fmt::format("rcnn: rank {} ({}): the {}processes of this job have not all started within {:g} s: "
                    "one of them is missing, hangs before its start, or is another program; see that "
                    "each machine can start the program (RCNN_START_TIMEOUT=SECONDS waits longer)\n",
                    launched_rank(), host_name(), processes > 0 ? fmt::format("{} ", processes) : "", seconds)
            .c_str(),
        stderr);
    std::_Exit(1);
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool connected_ = false;
  std::thread thread_;
};

std::unique_ptr<World> connect() {
  // Open MPI's default, 3, moves 100 kB each time that a rank looks at its messages where processes on one
  // machine copy through shared memory: too little for one that looks between the layers of a backward pass.
  ::setenv("OMPI_MCA_pml_ob1_send_pipeline_depth", "32", 0);
  int provided = 0, rank = 0, size = 1;
  const double timeout = start_timeout();
  {
    const StartWatch watch(timeout);
    MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided);
  }
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  const int expected =
      number_in_environment({"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"}).value_or(size);
  check_input(
      size == expected,
      "{} processes were started, but MPI connects {}: this program's MPI ({}) is not that of the launcher; "
      "start it with the mpirun of the same MPI, or with srun --mpi=pmix",
      expected, size, mpi_description());
  const auto all = static_cast<size_t>(size);
  MpiWorld strangers(rank, std::vector<std::string>(all));
  strangers.watch = {.seconds = timeout,
                     .place = "the first message",
                     .advice =
                         "the machines do not reach each other over the network that MPI has chosen: "
                         "mpirun --mca btl_tcp_if_include NETWORK chooses another"};
  std::vector<std::string> hosts;
  const std::string here = host_name();
  for (const Bytes& name : strangers.all_gather(std::as_bytes(std::span(here.data(), here.size()))))
    hosts.emplace_back(reinterpret_cast<const char*>(name.data()), name.size());
  return std::make_unique<MpiWorld>(rank, hosts);
}

std::unique_ptr<World> launched;

/// Without PMI or PMIx each of srun's processes would train alone, all of them the same.
void check_not_strangers() {
  const int tasks = number_in_environment({"SLURM_STEP_NUM_TASKS"}).value_or(1);
  check_input(tasks == 1,
              "srun has started {} processes, but without the means to find each other: start them with "
              "srun --mpi=pmix, which `srun --mpi=list` names if this Slurm has it, with mpirun, or with "
              "--rendezvous FOLDER, which needs no MPI; for separate runs, unset SLURM_STEP_NUM_TASKS",
              tasks);
}

#endif

}  // namespace

bool is_launched_by_mpi() {
  return number_in_environment({"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_RANK", "PMI_RANK"}).has_value();
}

#if defined(RCNN_MPI)

World& mpi_world() {
  if (!is_launched_by_mpi()) {
    check_not_strangers();
    return alone();
  }
  if (!launched) launched = connect();
  return *launched;
}

World* connected_mpi_world() { return launched && launched->size() > 1 ? launched.get() : nullptr; }

void leave_mpi_world() {
  if (!launched) return;
  launched->barrier();
  MPI_Finalize();
  launched.reset();
}

std::string mpi_description() {
  std::array<char, MPI_MAX_LIBRARY_VERSION_STRING> text{};
  int length = 0;
  MPI_Get_library_version(text.data(), &length);
  const std::string all(text.data(), static_cast<size_t>(length));
  return all.substr(0, all.find_first_of(",\n"));
}

#else

World& mpi_world() {
  const int size =
      number_in_environment({"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"}).value_or(1);
  check_input(size == 1,
              "{} processes were started, but this build has no MPI to connect them: --rendezvous FOLDER "
              "connects them without it, and `sh tools/setup.sh && make MPI=1` builds it with Open MPI",
              size);
  return alone();
}
World* connected_mpi_world() { return nullptr; }
void leave_mpi_world() {}
std::string mpi_description() { return ""; }

#endif

}  // namespace rcnn
