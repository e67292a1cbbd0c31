// The processes that work together on one run ("ranks"), and what they say to each other.
//
// Everything is made of one operation, `exchange`: every rank has bytes for every rank. A back end implements
// that, and the rest follows. There are four: one process alone, threads of one process (for tests),
// processes that mpirun has started, and processes that Gloo connects. `exchange_on` is the same for memory
// of GPUs, which goes through the memory of the host, or directly where there is a link for it
// (core/world/device.h). `begin_exchange` is one that goes on while its rank does other work. No back end
// computes anything: sums of floats are made by our own ops, in an order that does not depend on the number
// of ranks (train/gradient_tree.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"

namespace rcnn {

struct Device;

/// Another rank was waited for in vain.
class LostRank : public Error {
 public:
  using Error::Error;
};

using Bytes = std::vector<std::byte>;

/// The items [begin, end) of `of`: the part that one rank works on.
struct Share {
  int64_t begin = 0, end = 1, of = 1;
  int64_t count() const { return end - begin; }
};
/// Contiguous parts that differ by at most one item. A part is empty if there are fewer items than ranks.
Share share_of(int64_t items, int rank, int ranks);

class World {
 public:
  using Outgoing = std::vector<std::span<const std::byte>>;  // one per rank
  using Incoming = std::vector<std::span<std::byte>>;        // likewise

  virtual ~World() = default;
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  int rank() const { return rank_; }
  int size() const { return static_cast<int>(hosts_.size()); }
  bool is_first() const { return rank_ == 0; }
  /// This rank's part of these items.
  Share share(int64_t items) const { return share_of(items, rank_, size()); }
  /// "rank 3 (host)".
  std::string name_of(int rank) const;
  /// How many ranks with a lower number work on this rank's machine: chooses the GPU.
  int place_on_host() const;
  bool are_on_one_host(int rank, int other) const {
    return hosts_.at(static_cast<size_t>(rank)) == hosts_.at(static_cast<size_t>(other));
  }
  /// How many ranks work on this rank's machine, itself included: they share its memory.
  int ranks_on_host() const;
  /// How many ranks work on each machine, if it is the same number on all and the ranks of each follow each
  /// other; otherwise 0.
  int ranks_per_machine() const;

  /// Sends to[i] to rank i and fills from[i] with what rank i sends to this one. Both sides know the sizes;
  /// spans may be empty. Every rank must make the same sequence of calls, of this function and of those
  /// below. Throws LostRank that names the ranks for which `watch` has waited in vain.
  void exchange(const Outgoing& to, const Incoming& from);
  /// The same for spans of this device's memory, in the order of the work on its work stream: the bytes that
  /// are sent are those after the work before, and the work that follows sees those that were received.
  /// Returns when the other ranks have taken part.
  void exchange_on(Device device, const Outgoing& to, const Incoming& from);
  /// An exchange that has begun.
  class OpenExchange {
   public:
    OpenExchange() = default;
    virtual ~OpenExchange() = default;
    OpenExchange(const OpenExchange&) = delete;
    OpenExchange& operator=(const OpenExchange&) = delete;
    /// Goes on with it, without waiting for another rank. True when everything has been sent and received.
    /// Throws LostRank if it finds that another rank has ended.
    virtual bool poll() = 0;
    /// Waits until then, like `exchange`, and calls `meanwhile` whenever it has looked in vain, which must
    /// not touch this one. Throws LostRank.
    virtual void finish(const std::function<void()>& meanwhile) = 0;
  };
  /// Begins an exchange, which goes on when it is polled, and may never before it is finished. Several may be
  /// open, with others and those of the functions above and below between them: they do not mix as long as
  /// the ranks begin those on one channel (0 to kMaxChannel) in the same sequence; those on different
  /// channels they may begin in any. `memory` is kept as long as bytes may come and go, also if the exchange
  /// is destroyed before it has ended, as by an exception.
  std::unique_ptr<OpenExchange> begin_exchange(int channel, const Outgoing& to, const Incoming& from,
                                               std::shared_ptr<const void> memory);
  static constexpr int kMaxChannel = 32000;  // MPI has tags up to 32767
  /// A way from GPU to GPU that does not lead through the memory of the host.
  class DeviceLink {
   public:
    DeviceLink() = default;
    virtual ~DeviceLink() = default;
    DeviceLink(const DeviceLink&) = delete;
    DeviceLink& operator=(const DeviceLink&) = delete;
    /// begin_exchange_on and finish_exchanges_on. The sizes are right, and the bytes for itself are among
    /// them.
    virtual void begin(const World& world, Device device, const Outgoing& to, const Incoming& from) = 0;
    virtual void finish(const World& world, Device device) = 0;
  };
  /// Lets exchange_on take this way from here on. Every rank must do so at the same point.
  void link_devices(std::unique_ptr<DeviceLink> link) { link_ = std::move(link); }
  bool has_device_link() const { return link_ != nullptr; }
  /// With a link: puts an exchange on the device's work stream, and does not wait for its end.
  void begin_exchange_on(Device device, const Outgoing& to, const Incoming& from);
  /// Returns when what is on the device's work stream has been done, with the exchanges that were begun
  /// there. Throws LostRank.
  void finish_exchanges_on(Device device);

  /// What every rank gave, in the order of the ranks, of any sizes.
  std::vector<Bytes> all_gather(std::span<const std::byte> mine);
  /// The same, but only rank 0 gets it; the others get nothing.
  std::vector<Bytes> gather(std::span<const std::byte> mine);
  /// The bytes of rank 0, which all ranks know the number of.
  void broadcast(std::span<std::byte> data);
  /// A plain value of rank 0.
  template <class T>
  T from_first(T value) {
    broadcast(std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }
  /// A plain value of every rank.
  template <class T>
  std::vector<T> of_all(const T& value);
  /// Returns when all ranks have called it, however long that takes.
  void barrier();
  /// Ends all ranks at once, with this exit status.
  [[noreturn]] virtual void abort(int status) = 0;

  /// The bytes that this rank has sent to others.
  int64_t bytes_sent() const { return bytes_sent_; }
  /// Those of them that it has sent to other machines.
  int64_t bytes_sent_away() const { return bytes_sent_away_; }

  /// How long to wait for another rank, and what to say then: "rank 3 (host) has not reached step 1204 for
  /// 300 s; last checkpoint ...".
  struct Watch {
    double seconds = 300;  // 0: for ever
    std::string place = "this point of the run", advice = {};
  };
  Watch watch;

 protected:
  World(int rank, std::vector<std::string> hosts) : rank_(rank), hosts_(std::move(hosts)) {}
  /// Without the bytes for itself, which `exchange` copies. The sizes are right.
  virtual void exchange_with_others(const Outgoing& to, const Incoming& from) = 0;
  /// Likewise. Unless a back end can do better, it is `exchange_with_others` when it is finished, which all
  /// ranks then do in the same sequence, because poll() never succeeds.
  virtual std::unique_ptr<OpenExchange> begin_with_others(int channel, const Outgoing& to,
                                                          const Incoming& from,
                                                          std::shared_ptr<const void> memory);
  /// The error of having waited for these ranks.
  [[noreturn]] void give_up(const std::vector<int>& missing) const;

 private:
  class Postponed;

  /// Checks the sizes that this rank knows, and counts what it sends.
  void count(const Outgoing& to, const Incoming& from);
  void exchange_through_host(Device device, const Outgoing& to, const Incoming& from);

  int rank_;
  std::vector<std::string> hosts_;  // by rank
  int64_t bytes_sent_ = 0, bytes_sent_away_ = 0;
  std::unique_ptr<DeviceLink> link_;
};

template <class T>
std::vector<T> World::of_all(const T& value) {
  std::vector<T> values(static_cast<size_t>(size()));
  const Outgoing to(values.size(), std::as_bytes(std::span(&value, 1)));
  Incoming from;
  for (T& one : values) from.push_back(std::as_writable_bytes(std::span(&one, 1)));
  exchange(to, from);
  return values;
}

/// One process.
World& alone();

/// Runs `work` once for each of `ranks` ranks, each in a thread of its own with as many threads for ops as
/// the caller has. Only one of them runs at a time, until it waits for another, so `work` needs no locks. If
/// one throws, the others end too, and the exception is rethrown. With `linked`, bytes in the memory of GPUs
/// are copied from GPU to GPU. `hosts` names the machine of each rank; none: all are on one.
void run_ranks(int ranks, const std::function<void(World&)>& work, bool linked = false,
               std::vector<std::string> hosts = {});

/// Whether this process was started as one of several: by mpirun or srun, or with a place to meet
/// (core/world/launched.h).
bool is_launched();
/// The rank that it was given; 0 if none.
int launched_rank();
/// The processes that were started together; `alone()` if this one was not started as one of several. The
/// first call connects them. Throws InputError if this build cannot connect them, and InputError or Error if
/// they do not find each other.
World& launched_world();
/// The same, or null if it was not asked for yet or if there is one process only.
World* connected_world();
/// Waits for the other processes and disconnects from them: call it before main returns.
void leave_launched_world();
/// "Open MPI v4.1.4", or "" if this build has no MPI.
std::string mpi_description();

}  // namespace rcnn
