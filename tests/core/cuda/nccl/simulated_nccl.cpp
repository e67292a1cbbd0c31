// A library in the place of NCCL for processes whose GPUs are simulated: it carries bytes from the simulated
// memory of one process to that of another, through Unix sockets. Like NCCL in its non-blocking mode, calls
// return before their work is done, and a send waits for its receive.
//
// It takes what core/world/nccl.cpp must do seriously: calls outside of a group, sizes that differ and
// messages to a communicator that is not connected are errors.
#include <nccl.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "core/cuda/sim/runtime.h"

namespace {

/// A message, head included: the number of bytes.
struct Parcel {
  int peer = 0;
  void* device = nullptr;  // where a received one goes
  cudaStream_t stream = nullptr;
  std::vector<unsigned char> bytes;
  size_t done = 0;
};

constexpr size_t kHead = sizeof(uint64_t);

void write_head(Parcel& parcel) {
  const uint64_t count = parcel.bytes.size() - kHead;
  std::memcpy(parcel.bytes.data(), &count, kHead);
}

}  // namespace

struct ncclComm {
  int rank = 0, ranks = 0;
  std::string id;
  std::vector<int> peers;  // sockets
  std::vector<Parcel> sends, receives;
  bool has_work = false;  // for the worker, or to be put on the stream
  std::thread worker;
  ncclResult_t state = ncclInProgress, result = ncclSuccess;  // of all, and of the worker
  std::atomic<bool> is_done = false, aborted = false;
  std::string error;

  void connect();
  void move();
  bool move_some(Parcel& parcel, bool out);
  void fail(ncclResult_t why, const std::string& words) {
    error = words;
    result = why;
  }
  void start(void (ncclComm::*work)()) {
    is_done = false;
    state = ncclInProgress;
    worker = std::thread([this, work] {
      (this->*work)();
      is_done = true;
    });
  }
  void close_all() {
    aborted = true;
    if (worker.joinable()) worker.join();
    for (const int file : peers)
      if (file >= 0) ::close(file);
  }
};

namespace {

bool in_group = false;
ncclComm* group_comm = nullptr;

/// A name that only the ranks of one communicator know; it is in no folder.
sockaddr_un address_of(const std::string& id, int rank) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = "rcnn-simulated-nccl-" + id + "-" + std::to_string(rank);
  std::memcpy(address.sun_path + 1, name.data(), std::min(name.size(), sizeof address.sun_path - 2));
  return address;
}

void rest() { std::this_thread::sleep_for(std::chrono::milliseconds(1)); }

bool is_ready(int file, short events) {
  pollfd one{file, events, 0};
  return ::poll(&one, 1, 10) > 0;
}

}  // namespace

void ncclComm::connect() {
  const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_un own = address_of(id, rank);
  if (::bind(listener, reinterpret_cast<const sockaddr*>(&own), sizeof own) != 0 ||
      ::listen(listener, 64) != 0) {
    ::close(listener);
    return fail(ncclSystemError, "two ranks have one number");
  }
  for (int peer = 0; peer < rank && !aborted; ++peer) {
    const int file = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_un other = address_of(id, peer);
    while (!aborted && ::connect(file, reinterpret_cast<const sockaddr*>(&other), sizeof other) != 0) rest();
    static_cast<void>(::send(file, &rank, sizeof rank, MSG_NOSIGNAL));
    peers[static_cast<size_t>(peer)] = file;
  }
  for (int left = ranks - 1 - rank; left > 0 && !aborted;) {
    if (!is_ready(listener, POLLIN)) continue;
    const int file = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    int peer = 0;
    if (file < 0 || ::recv(file, &peer, sizeof peer, MSG_WAITALL) != sizeof peer) continue;
    peers[static_cast<size_t>(peer)] = file;
    --left;
  }
  ::close(listener);
}

/// False on failure.
bool ncclComm::move_some(Parcel& parcel, bool out) {
  while (parcel.done < parcel.bytes.size()) {
    unsigned char* at = parcel.bytes.data() + parcel.done;
    const int file = peers[static_cast<size_t>(parcel.peer)];
    // The head first: it must be the number that the receiver expects.
    const size_t left = (parcel.done < kHead ? kHead : parcel.bytes.size()) - parcel.done;
    const ssize_t moved =
        out ? ::send(file, at, left, MSG_NOSIGNAL | MSG_DONTWAIT) : ::recv(file, at, left, MSG_DONTWAIT);
    if (moved < 0 && (errno == EAGAIN || errno == EINTR)) return true;
    if (moved <= 0) {
      fail(ncclRemoteError, "rank " + std::to_string(parcel.peer) + " has closed its connection");
      return false;
    }
    parcel.done += static_cast<size_t>(moved);
    uint64_t count = 0;
    std::memcpy(&count, parcel.bytes.data(), kHead);
    if (!out && parcel.done == kHead && count != parcel.bytes.size() - kHead) {
      fail(ncclInvalidUsage, "a message of " + std::to_string(count) + " bytes is received as one of " +
                                 std::to_string(parcel.bytes.size() - kHead));
      return false;
    }
  }
  return true;
}

void ncclComm::move() {
  for (Parcel& in : receives)  // from itself
    if (in.peer == rank) {
      const auto out =
          std::find_if(sends.begin(), sends.end(), [&](const Parcel& p) { return p.peer == rank; });
      if (out == sends.end() || out->bytes.size() != in.bytes.size())
        return fail(ncclInvalidUsage, "a rank receives other bytes from itself than it sends");
      in.bytes = out->bytes;
      in.done = out->done = in.bytes.size();
    }
  for (bool moving = true; moving && !aborted;) {
    moving = false;
    for (std::vector<Parcel>* all : {&sends, &receives})
      for (Parcel& one : *all) {
        if (!move_some(one, all == &sends)) return;
        moving = moving || one.done < one.bytes.size();
      }
    if (moving) rest();
  }
}

extern "C" {

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  uint64_t word = 0;
  if (::getrandom(&word, sizeof word, 0) != sizeof word) return ncclSystemError;
  *id = {};
  const std::string text = std::to_string(word);
  std::memcpy(id->internal, text.data(), text.size());
  return ncclSuccess;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank,
                                    ncclConfig_t* config) {
  if (config->blocking != 0 || rank < 0 || rank >= ranks) return ncclInvalidUsage;
  *comm = new ncclComm;
  (*comm)->rank = rank;
  (*comm)->ranks = ranks;
  (*comm)->id = id.internal;
  (*comm)->peers.assign(static_cast<size_t>(ranks), -1);
  (*comm)->start(&ncclComm::connect);
  return ncclInProgress;
}

ncclResult_t ncclCommFinalize(ncclComm_t comm) { return comm->has_work ? ncclInvalidUsage : ncclSuccess; }

ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  comm->close_all();
  delete comm;
  return ncclSuccess;
}

ncclResult_t ncclCommAbort(ncclComm_t comm) { return ncclCommDestroy(comm); }

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* state) {
  if (comm->is_done && comm->worker.joinable()) {
    comm->worker.join();
    comm->state = comm->result;
    if (comm->has_work && comm->state == ncclSuccess)
      for (const Parcel& in : comm->receives)
        if (cudaMemcpyAsync(in.device, in.bytes.data() + kHead, in.bytes.size() - kHead,
                            cudaMemcpyHostToDevice, in.stream) != cudaSuccess)
          comm->state = ncclSystemError;
    comm->has_work = false;
    comm->sends.clear();
    comm->receives.clear();
  }
  *state = comm->state;
  return ncclSuccess;
}

const char* ncclGetErrorString(ncclResult_t result) {
  switch (result) {
    case ncclSuccess:
      return "no error";
    case ncclSystemError:
      return "unhandled system error";
    case ncclInvalidUsage:
      return "invalid usage";
    case ncclRemoteError:
      return "remote process exited or there was a network error";
    case ncclInProgress:
      return "NCCL operation in progress";
  }
  return "unknown result code";
}

const char* ncclGetLastError(ncclComm_t comm) { return comm ? comm->error.c_str() : ""; }

ncclResult_t ncclGroupStart() {
  if (in_group) return ncclInvalidUsage;
  in_group = true;
  group_comm = nullptr;
  return ncclSuccess;
}

static ncclResult_t add(bool out, void* device, size_t count, int peer, ncclComm_t comm,
                        CUstream_st* stream) {
  if (!in_group || comm->state != ncclSuccess || peer < 0 || peer >= comm->ranks) return ncclInvalidUsage;
  group_comm = comm;
  Parcel parcel;
  parcel.peer = peer;
  parcel.device = device;
  parcel.stream = stream;
  parcel.bytes.resize(kHead + count);
  if (out) write_head(parcel);
  (out ? comm->sends : comm->receives).push_back(std::move(parcel));
  return ncclSuccess;
}

ncclResult_t ncclSend(const void* from, size_t count, ncclDataType_t, int peer, ncclComm_t comm,
                      CUstream_st* stream) {
  return add(true, const_cast<void*>(from), count, peer, comm, stream);
}

ncclResult_t ncclRecv(void* to, size_t count, ncclDataType_t, int peer, ncclComm_t comm,
                      CUstream_st* stream) {
  return add(false, to, count, peer, comm, stream);
}

ncclResult_t ncclGroupEnd() {
  if (!in_group) return ncclInvalidUsage;
  in_group = false;
  if (!group_comm) return ncclSuccess;   // an empty group
  for (Parcel& out : group_comm->sends)  // after the work that is on the stream
    if (cudaMemcpyAsync(out.bytes.data() + kHead, out.device, out.bytes.size() - kHead,
                        cudaMemcpyDeviceToHost, out.stream) != cudaSuccess)
      return ncclSystemError;
  group_comm->has_work = true;
  group_comm->start(&ncclComm::move);
  return ncclInProgress;
}

}  // extern "C"
