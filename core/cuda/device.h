// The GPUs of this machine and the resources on them: streams, events, pinned host buffers, memory.
//
// This header names no CUDA type, so that everything above core compiles without the toolkit. In a build
// without CUDA there are no devices, and every function that needs one throws an error that says so.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <source_location>
#include <string>
#include <utility>
#include <vector>

#include "core/device.h"

struct CUevent_st;
struct CUgraphExec_st;

namespace rcnn::cuda {

/// Whether this program has CUDA code, for GPUs or for the simulation.
bool is_built();
/// Whether devices are simulated on the CPU (make CUDA=sim).
bool is_simulated();
/// 0 in a build without CUDA, and if the driver finds no device.
int device_count();
/// Why there is no device, in CUDA's words: the driver may be missing or too old. "" if there is one.
std::string why_no_device();

struct DeviceInfo {
  std::string name;
  int capability = 0;  // 90 for sm_90
  int multiprocessors = 0;
  size_t bytes = 0;
  size_t block_shared = 0;  // bytes of shared memory that a block may have
};
/// Throws InputError if there is no such device.
const DeviceInfo& device_info(int index);

/// Bytes of the device's memory that are free.
size_t free_memory(int index);

/// What `--device` asks for.
struct DeviceChoice {
  Device device;
  std::string line;  // what was chosen and why: "cpu: this build has no CUDA (make CUDA=1 builds it)"
};
/// "auto" (a GPU if there is one, otherwise the CPU), "cpu", "cuda" or "cuda:N". Throws InputError for
/// anything else, for a device that does not exist, and for one that this program has no code for.
DeviceChoice choose_device(const std::string& text);

/// "" if the program has code for this device, otherwise a sentence that names both architectures.
std::string missing_code(int index);

/// Names the work done during its lifetime for NVIDIA's profilers (NVTX); does nothing in other builds.
class Range {
 public:
  explicit Range(const char* name);
  ~Range();
  Range(const Range&) = delete;
  Range& operator=(const Range&) = delete;
};

/// The stream on which a device does its work in program order: one per device, for tensors and ops alike; in
/// a SideWork that of it.
Stream work_stream(Device device);
/// Waits until the device has finished everything on its work stream. Counted (see host_waits).
void synchronize(Device device, std::source_location where = std::source_location::current());

// ---- ownership ----------------------------------------------------------------------------------

/// A stream that is separate from the work stream.
class OwnedStream {
 public:
  explicit OwnedStream(Device device);
  ~OwnedStream();
  OwnedStream(const OwnedStream&) = delete;
  OwnedStream& operator=(const OwnedStream&) = delete;
  const Stream& get() const { return stream_; }

 private:
  Stream stream_;
};

/// A point in the work of a stream of `device`.
class Event {
 public:
  explicit Event(Device device, bool timed = false);
  ~Event();
  Event(Event&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Event& operator=(Event&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  /// The stream must be one of the event's device.
  void record(const Stream& stream);
  /// Work that is put on `stream` from now on runs after this point.
  void hold(const Stream& stream) const;
  /// Whether the device has reached this point; does not wait.
  bool reached() const;
  /// The host waits for this point. Counted (see host_waits).
  void wait(std::source_location where = std::source_location::current()) const;
  /// Milliseconds from `begin` to this point; both events must be timed and reached.
  float since(const Event& begin) const;

 private:
  CUevent_st* handle_ = nullptr;
};

/// Page-locked host memory, which the device copies from and to without the host's help.
class PinnedBuffer {
 public:
  explicit PinnedBuffer(size_t bytes);
  ~PinnedBuffer();
  PinnedBuffer(PinnedBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  PinnedBuffer& operator=(PinnedBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  std::byte* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  std::byte* data_ = nullptr;
  size_t bytes_ = 0;
};

/// Keeps returned device memory for the next request of about its size. Work runs in stream order, so
/// returned memory can be handed out again at once. Grows through CUDA's stream-ordered allocator.
class Arena : public std::enable_shared_from_this<Arena> {
 public:
  /// If `keeps` is false, memory goes straight back to CUDA: the simulation then notices a use after return.
  Arena(Device device, bool keeps);
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// Uninitialised memory, returned to the arena with the last pointer to it. If there is not enough, throws
  /// Error, which says how much was asked for and how much the device has.
  std::shared_ptr<std::byte> take(size_t bytes);
  /// Bytes taken from CUDA.
  size_t reserved() const { return reserved_; }

 private:
  void give_back(std::byte* data, size_t bytes);
  void release();  // returns the unused memory to CUDA

  Device device_;
  bool keeps_;
  size_t reserved_ = 0;
  std::multimap<size_t, std::byte*> unused_;  // by size
};

/// Memory from the arena of the innermost ArenaScope, or from the device's own arena if there is no scope; in
/// a SideWork from the arena of it.
std::shared_ptr<std::byte> allocate(Device device, size_t bytes);

/// During its lifetime, memory on the device is taken from this arena.
class ArenaScope {
 public:
  ArenaScope(Device device, std::shared_ptr<Arena> arena);
  ~ArenaScope();
  ArenaScope(const ArenaScope&) = delete;
  ArenaScope& operator=(const ArenaScope&) = delete;

 private:
  int index_;
  std::shared_ptr<Arena> previous_;
};

/// During its lifetime, what this thread has the device do goes on a second stream, which runs beside the
/// work stream; its tensors take memory from an arena of that stream. Both are the same each time, so what
/// one SideWork puts on the stream runs after what the one before it has put there.
///
/// It begins with the work that is on the work stream now: what that has written can be read. Memory that
/// comes from elsewhere must be kept, and not be written, until the second stream has done its work. Does not
/// nest.
class SideWork {
 public:
  explicit SideWork(Device device);
  ~SideWork();
  SideWork(const SideWork&) = delete;
  SideWork& operator=(const SideWork&) = delete;
};

// ---- transfers ----------------------------------------------------------------------------------

/// Copies host memory to the device; `from` may change as soon as the call returns. A few kilobytes travel as
/// kernel arguments, more through a pinned buffer; the host waits only if all pinned buffers are in use.
/// Throws Error for more than 64 KiB during a graph capture, because a replay could not repeat the copy.
void upload(Device device, void* to, const void* from, size_t bytes,
            std::source_location where = std::source_location::current());
/// Copies from the device to the host and waits for the copy. Counted (see host_waits).
void download(Device device, void* to, const void* from, size_t bytes, std::source_location where);
/// Copies within the device.
void copy(Device device, void* to, const void* from, size_t bytes);
void fill_bytes(Device device, void* to, int value, size_t bytes);

// ---- graphs ----------------------------------------------------------------------------------------

/// Work that is recorded once and can then be launched again as a whole (a CUDA graph).
class Graph {
 public:
  Graph() = default;
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  bool captured() const { return executable_ != nullptr; }
  /// Records what `work` puts on the device's work stream, without running it. Nothing in it may wait for the
  /// device or ask CUDA for memory.
  void capture(Device device, const std::function<void()>& work);
  /// Puts the recorded work on the device's work stream.
  void replay() const;

 private:
  Device device_;
  CUgraphExec_st* executable_ = nullptr;
};

// ---- the budget of synchronisations -------------------------------------------------------------

struct HostWaits {
  int64_t waits = 0;   // times the host waited for the device
  int64_t copies = 0;  // of these, to fetch values from it
};
/// Counts by source location ("train/trainer.cpp:81") since the last reset.
std::map<std::string, HostWaits> host_waits();
HostWaits total_host_waits();
void reset_host_waits();

}  // namespace rcnn::cuda
