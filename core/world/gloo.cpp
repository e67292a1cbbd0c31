// Gloo moves bytes in a thread of its own, and its calls wait for one message each, without a way to ask
// whether it has come. So every exchange has a thread that waits for its messages in turn, and the rank looks
// whether that thread is done. Gloo's own reductions are not used: they add in an order that depends on the
// number of ranks.
#include "core/world/gloo.h"

#include "core/error.h"

#if defined(RCNN_GLOO)
#include <gloo/config.h>
#include <gloo/rendezvous/context.h>
#include <gloo/rendezvous/file_store.h>
#include <gloo/transport/tcp/device.h>
#include <gloo/transport/unbound_buffer.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <system_error>
#include <thread>

#include "core/world/patience.h"
#endif

namespace rcnn {

#if defined(RCNN_GLOO)

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kForever = std::chrono::hours(24 * 3650);
constexpr uint64_t kSlot = 0;           // of the exchanges that are waited for at once
constexpr uint64_t kFirstOpenSlot = 1;  // of channel 0 of the others

class GlooWorld : public World {
 public:
  GlooWorld(int rank, std::vector<std::string> hosts, std::shared_ptr<gloo::Context> group)
      : World(rank, std::move(hosts)), group_(std::move(group)) {}
  /// The others see that their connections with this process have ended.
  void abort(int status) override { std::_Exit(status); }

 private:
  class Messages;

  void exchange_with_others(const Outgoing& to, const Incoming& from) override;
  std::unique_ptr<OpenExchange> begin_with_others(int channel, const Outgoing& to, const Incoming& from,
                                                  std::shared_ptr<const void> memory) override;

  std::shared_ptr<gloo::Context> group_;
};

/// The messages of one exchange.
class GlooWorld::Messages : public OpenExchange {
 public:
  Messages(GlooWorld& world, uint64_t slot, const Outgoing& to, const Incoming& from,
           std::shared_ptr<const void> memory);
  ~Messages() override { stop(); }
  bool poll() override;
  void finish(const std::function<void()>& meanwhile) override;

 private:
  struct Message {
    std::unique_ptr<gloo::transport::UnboundBuffer> buffer;
    int peer = 0;
    bool is_sent = false;  // otherwise received
    bool is_done = false;
  };

  void add(size_t peer, std::span<const std::byte> bytes, bool is_sent);
  void wait_for_all();
  void stop();
  [[noreturn]] void fail() const;

  GlooWorld& world_;
  uint64_t slot_;
  std::shared_ptr<const void> memory_;
  std::vector<Message> messages_;
  std::atomic<Message*> awaited_ = nullptr;
  std::atomic<bool> stopping_ = false, ended_ = false;
  std::atomic<int> gone_ = -1;  // the rank whose connection has ended
  std::thread thread_;
};

GlooWorld::Messages::Messages(GlooWorld& world, uint64_t slot, const Outgoing& to, const Incoming& from,
                              std::shared_ptr<const void> memory)
    : world_(world), slot_(slot), memory_(std::move(memory)) {
  const auto me = static_cast<size_t>(world.rank()), all = to.size();
  for (size_t k = 1; k < all; ++k) {  // each rank begins with another one
    const size_t i = (me + all - k) % all;
    add(i, from[i], false);
  }
  for (size_t k = 1; k < all; ++k) add((me + k) % all, to[(me + k) % all], true);
  try {
    thread_ = std::thread([this] { wait_for_all(); });
  } catch (const std::system_error& error) {
    throw Error(fmt::format("no thread can be started to wait for other ranks: {}", error.code().message()));
  }
}

void GlooWorld::Messages::add(size_t peer, std::span<const std::byte> bytes, bool is_sent) {
  if (bytes.empty() || gone_ >= 0) return;
  Message message;
  message.peer = static_cast<int>(peer);
  message.is_sent = is_sent;
  message.buffer = world_.group_->createUnboundBuffer(const_cast<std::byte*>(bytes.data()), bytes.size());
  try {
    if (is_sent)
      message.buffer->send(message.peer, slot_);
    else
      message.buffer->recv(message.peer, slot_);
  } catch (const gloo::Exception&) {
    gone_ = message.peer;
    stopping_ = true;
  }
  messages_.push_back(std::move(message));
}

/// Of the thread.
void GlooWorld::Messages::wait_for_all() {
  for (Message& one : messages_) {
    awaited_ = &one;
    // Gloo ends all connections when a time is over: that is done only when this rank gives up, to see which
    // messages have not come.
    const milliseconds limit = stopping_ ? milliseconds(1) : kForever;
    try {
      one.is_done = one.is_sent ? one.buffer->waitSend(limit) : one.buffer->waitRecv(limit);
    } catch (const gloo::Exception&) {
      if (!stopping_.exchange(true)) gone_ = one.peer;
    }
  }
  ended_ = true;
}

/// Returns when Gloo does not touch the messages any more.
void GlooWorld::Messages::stop() {
  if (!thread_.joinable()) return;
  while (!ended_) {
    stopping_ = true;
    if (Message* one = awaited_) {
      if (one->is_sent)
        one->buffer->abortWaitSend();
      else
        one->buffer->abortWaitRecv();
    }
    std::this_thread::sleep_for(milliseconds(1));
  }
  thread_.join();
}

bool GlooWorld::Messages::poll() {
  if (!ended_) return false;
  if (thread_.joinable()) thread_.join();
  if (gone_ >= 0) fail();
  memory_.reset();
  return true;
}

void GlooWorld::Messages::finish(const std::function<void()>& meanwhile) {
  for (Patience patience(world_.watch.seconds);;) {
    if (poll()) return;
    meanwhile();
    if (!patience.rest()) break;
  }
  stop();
  if (gone_ >= 0) fail();
  std::vector<int> missing;
  for (const Message& one : messages_)
    if (!one.is_done) missing.push_back(one.peer);
  if (!missing.empty()) world_.give_up(missing);  // otherwise the last ones came just now
}

void GlooWorld::Messages::fail() const {
  const Watch& watch = world_.watch;
  throw LostRank(fmt::format("{} has ended, and has not reached {}{}{}", world_.name_of(gone_), watch.place,
                             watch.advice.empty() ? "" : "; ", watch.advice));
}

void GlooWorld::exchange_with_others(const Outgoing& to, const Incoming& from) {
  Messages(*this, kSlot, to, from, nullptr).finish([] {});
}

std::unique_ptr<World::OpenExchange> GlooWorld::begin_with_others(int channel, const Outgoing& to,
                                                                  const Incoming& from,
                                                                  std::shared_ptr<const void> memory) {
  return std::make_unique<Messages>(*this, kFirstOpenSlot + static_cast<uint64_t>(channel), to, from,
                                    std::move(memory));
}

std::shared_ptr<gloo::transport::Device> choose_network(const std::vector<std::string>& hosts) {
  gloo::transport::tcp::attr address;
  const char* interface = std::getenv("GLOO_SOCKET_IFNAME");
  const bool is_chosen = interface && *interface;
  const bool is_one_machine =
      std::all_of(hosts.begin(), hosts.end(), [&](const std::string& host) { return host == hosts.front(); });
  if (is_chosen)
    address.iface = interface;
  else
    address.hostname = is_one_machine ? "127.0.0.1" : host_name();
  std::shared_ptr<gloo::transport::Device> device;
  try {
    device = gloo::transport::tcp::CreateDevice(address);
  } catch (const std::exception& error) {
    check(is_chosen || !is_one_machine, "no connection within this machine (127.0.0.1) can be opened: {}",
          error.what());
    throw InputError(
        is_chosen ? fmt::format("GLOO_SOCKET_IFNAME={}: this machine ({}) has no such network interface that "
                                "can be used: {}",
                                interface, host_name(), error.what())
                  : fmt::format("this machine's name, {}, is not that of an address of it: {}; "
                                "GLOO_SOCKET_IFNAME=INTERFACE chooses a network",
                                host_name(), error.what()));
  }
  const std::string text = device->str();
  check_input(
      is_chosen || is_one_machine ||
          (text.find("addr=[127.") == std::string::npos && text.find("addr=[::1]") == std::string::npos),
      "this machine's name, {}, stands for an address that other machines do not reach ({}); "
      "GLOO_SOCKET_IFNAME=INTERFACE chooses a network",
      host_name(), text);
  return device;
}

}  // namespace

std::unique_ptr<World> make_gloo_world(const Rendezvous& rendezvous, double seconds) {
  std::signal(SIGPIPE, SIG_IGN);  // a connection that has ended is an error, not the end of this process
  MeetingPlace place(rendezvous, seconds);
  const std::vector<std::string> hosts = place.gather_hosts(seconds);
  gloo::rendezvous::FileStore store(place.folder().string());
  std::shared_ptr<gloo::transport::Device> device = choose_network(hosts);
  auto group = std::make_shared<gloo::rendezvous::Context>(rendezvous.rank, rendezvous.ranks);
  group->setTimeout(milliseconds(static_cast<int64_t>(1000 * seconds)));  // 0: for ever
  try {
    group->connectFullMesh(store, device);
  } catch (const std::exception& error) {
    throw Error(
        fmt::format("rank {} ({}) cannot connect to the other processes: {}; GLOO_SOCKET_IFNAME=INTERFACE "
                    "chooses a network",
                    rendezvous.rank, host_name(), error.what()));
  }
  auto world = std::make_unique<GlooWorld>(rendezvous.rank, hosts, std::move(group));
  world->watch = {.seconds = seconds, .place = "the first message", .advice = {}};
  static_cast<void>(world->of_all(std::byte{}));  // so that nobody needs the place any more
  world->watch = {};
  return world;
}

std::string gloo_description() {
  return fmt::format("Gloo {}.{}.{}", GLOO_VERSION_MAJOR, GLOO_VERSION_MINOR, GLOO_VERSION_PATCH);
}

#else

std::unique_ptr<World> make_gloo_world(const Rendezvous& rendezvous, double) {
  throw InputError(fmt::format(
      "--rendezvous {}: this build has no Gloo, which connects processes without MPI: `sh tools/setup.sh && "
      "make GLOO=1` builds it",
      rendezvous.folder.string()));
}
std::string gloo_description() { return ""; }

#endif

}  // namespace rcnn
