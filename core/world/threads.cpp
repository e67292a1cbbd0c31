// Ranks as threads of one process.
#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <map>
#include <mutex>
#include <thread>
#include <tuple>

#include "core/cuda/device.h"
#include "core/error.h"
#include "core/parallel.h"
#include "core/world.h"

namespace rcnn {
namespace {

/// What the ranks share. A rank holds the mutex while it works and gives it up while it waits, so one works
/// at a time.
struct Meeting {
  explicit Meeting(int ranks) : to(static_cast<size_t>(ranks)), gone(to.size()) {}

  /// Waits until all ranks have come. Throws if one has ended instead.
  void meet(std::unique_lock<std::mutex>& lock) {
    const int64_t now = round;
    if (++here == static_cast<int>(to.size())) {
      here = 0;
      ++round;
      changed.notify_all();
    }
    changed.wait(lock, [&] { return round != now || ended; });
    if (round == now) throw Error("another rank has ended");
  }

  std::mutex mutex;
  std::condition_variable changed;
  std::vector<const World::Outgoing*> to;  // what each rank sends in this round
  int here = 0;                            // ranks that have come
  int64_t round = 0;
  bool ended = false;      // a rank has: whoever waits for it now does so in vain
  std::vector<bool> gone;  // which ones

  /// What was sent in exchanges that are open: channel, number of the exchange on it, sender, receiver.
  using Address = std::tuple<int, int64_t, size_t, size_t>;
  std::map<Address, Bytes> mail;
  std::exception_ptr failure;  // the first
};

/// Calls `copy` with what each rank sends to `me`, and the space for it. All ranks call this together.
template <class Copy>
void exchange_in(Meeting& meeting, std::unique_lock<std::mutex>& lock, size_t me, const World::Outgoing& to,
                 const World::Incoming& from, const Copy& copy) {
  meeting.to[me] = &to;
  meeting.meet(lock);
  std::exception_ptr failure;
  try {
    for (size_t i = 0; i < from.size(); ++i) {
      const std::span<const std::byte> sent = (*meeting.to[i])[me];
      check(sent.size() == from[i].size(), "rank {} sends {} bytes to rank {}, which expects {}", i,
            sent.size(), me, from[i].size());
      copy(i, sent, from[i]);
    }
  } catch (...) {
    failure = std::current_exception();
  }
  meeting.meet(lock);  // what a rank sends must stay until all have it, also if it fails
  if (failure) std::rethrow_exception(failure);
}

/// From GPU to GPU. The ranks may be on different ones, whose streams know nothing of each other.
class ThreadLink : public World::DeviceLink {
 public:
  ThreadLink(Meeting& meeting, std::unique_lock<std::mutex>& lock) : meeting_(meeting), lock_(lock) {}

  void begin(const World& world, Device device, const World::Outgoing& to,
             const World::Incoming& from) override {
    cuda::synchronize(device);
    exchange_in(meeting_, lock_, static_cast<size_t>(world.rank()), to, from,
                [&](size_t, std::span<const std::byte> sent, std::span<std::byte> space) {
                  cuda::copy(device, space.data(), sent.data(), sent.size());
                  cuda::synchronize(device);
                });
  }
  void finish(const World&, Device device) override { cuda::synchronize(device); }

 private:
  Meeting& meeting_;
  std::unique_lock<std::mutex>& lock_;
};

/// An exchange that has begun: a copy of what is sent lies in the meeting until the receiver takes it.
class Mail : public World::OpenExchange {
 public:
  Mail(Meeting& meeting, std::unique_lock<std::mutex>& lock, int channel, int64_t number, size_t me,
       const World::Outgoing& to, const World::Incoming& from)
      : meeting_(meeting), lock_(lock), channel_(channel), number_(number), me_(me), from_(from) {
    for (size_t i = 0; i < to.size(); ++i) {
      if (i == me) continue;
      meeting.mail[{channel, number, me, i}] = Bytes(to[i].begin(), to[i].end());
      missing_.push_back(i);
    }
    meeting.changed.notify_all();
  }
  bool poll() override {
    std::erase_if(missing_, [this](size_t i) { return take(i); });
    return missing_.empty();
  }
  void finish(const std::function<void()>& meanwhile) override {
    while (!poll()) {
      meanwhile();
      if (poll()) return;
      for (const size_t i : missing_)
        if (meeting_.gone[i]) throw Error("another rank has ended");
      meeting_.changed.wait(lock_);
    }
  }

 private:
  bool take(size_t i) {
    const auto letter = meeting_.mail.find({channel_, number_, i, me_});
    if (letter == meeting_.mail.end()) return false;
    check(letter->second.size() == from_[i].size(), "rank {} sends {} bytes to rank {}, which expects {}", i,
          letter->second.size(), me_, from_[i].size());
    std::copy(letter->second.begin(), letter->second.end(), from_[i].begin());
    meeting_.mail.erase(letter);
    return true;
  }

  Meeting& meeting_;
  std::unique_lock<std::mutex>& lock_;
  int channel_;
  int64_t number_;
  size_t me_;
  World::Incoming from_;
  std::vector<size_t> missing_;  // ranks whose bytes have not come
};

class ThreadWorld : public World {
 public:
  ThreadWorld(Meeting& meeting, int rank, const std::vector<std::string>& hosts, bool linked)
      : World(rank, hosts), lock(meeting.mutex), meeting_(meeting) {
    if (linked) link_devices(std::make_unique<ThreadLink>(meeting, lock));
  }
  void abort(int status) override { throw Error(fmt::format("a rank ended all with status {}", status)); }

  std::unique_lock<std::mutex> lock;

 private:
  void exchange_with_others(const Outgoing& to, const Incoming& from) override {
    const auto me = static_cast<size_t>(rank());
    exchange_in(meeting_, lock, me, to, from,
                [&](size_t i, std::span<const std::byte> sent, std::span<std::byte> space) {
                  if (i != me && !sent.empty()) std::memcpy(space.data(), sent.data(), sent.size());
                });
  }
  std::unique_ptr<OpenExchange> begin_with_others(int channel, const Outgoing& to, const Incoming& from,
                                                  std::shared_ptr<const void>) override {
    return std::make_unique<Mail>(meeting_, lock, channel, begun_[channel]++, static_cast<size_t>(rank()), to,
                                  from);
  }

  Meeting& meeting_;
  std::map<int, int64_t> begun_;  // exchanges on each channel
};

}  // namespace

void run_ranks(int ranks, const std::function<void(World&)>& work, bool linked,
               std::vector<std::string> hosts) {
  Meeting meeting(ranks);
  if (hosts.empty()) hosts.resize(static_cast<size_t>(ranks));
  const int threads_of_ops = thread_count();
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank)
    threads.emplace_back([&, rank] {
      ThreadWorld world(meeting, rank, hosts, linked);
      try {
        set_thread_count(threads_of_ops);
        work(world);
      } catch (...) {
        if (!meeting.failure) meeting.failure = std::current_exception();
      }
      meeting.ended = true;
      meeting.gone[static_cast<size_t>(rank)] = true;
      meeting.changed.notify_all();
    });
  for (std::thread& thread : threads) thread.join();
  if (meeting.failure) std::rethrow_exception(meeting.failure);
}

}  // namespace rcnn
