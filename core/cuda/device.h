// The GPUs of this machine, and what is owned on them: streams, events, pinned host buffers, memory.
//
// This header names no CUDA type, so that everything above core compiles without the toolkit. In a build
// without CUDA there are no devices, and whatever asks for one says so.
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

/// Whether this program has CUDA code, of the toolkit or of the simulation.
bool is_built();
/// Whether devices are simulated on the CPU (make CUDA=sim).
bool is_simulated();
/// 0 in a build without CUDA, and where the driver finds none.
int device_count();
/// Why there is none, in CUDA's words: a driver that is missing or too old. "" where there is one.
std::string why_no_device();

struct DeviceInfo {
  std::string name;
  int capability = 0;  // 90 for sm_90
  int multiprocessors = 0;
  size_t bytes = 0;
};
/// Throws InputError where there is no such device.
const DeviceInfo& device_info(int index);

/// Bytes of the device's memory that nobody uses.
size_t free_memory(int index);

/// What `--device` asks for.
struct DeviceChoice {
  Device device;
  std::string line;  // what was chosen and why: "cpu: this build has no CUDA; make CUDA=1"
};
/// "auto" (a GPU where there is one, else the CPU), "cpu", "cuda" or "cuda:N". Throws InputError for anything
/// else, for a device that is not there, and for one that the program has no code for.
DeviceChoice choose_device(const std::string& text);

/// "" when the program has code for this device, else a sentence that names both architectures.
std::string missing_code(int index);

/// Names a stretch of work for NVIDIA's profilers (NVTX) while it lives; nothing in other builds.
class Range {
 public:
  explicit Range(const char* name);
  ~Range();
  Range(const Range&) = delete;
  Range& operator=(const Range&) = delete;
};

/// The stream on which a device does its work, in program order: one a device, for tensors and ops alike.
Stream work_stream(Device device);
/// Waits until the device has done what its work stream holds. Counted (see host_waits).
void synchronize(Device device, std::source_location where = std::source_location::current());

// ---- ownership ----------------------------------------------------------------------------------

/// A stream of its own, beside the work stream.
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

/// A point in a stream's work.
class Event {
 public:
  explicit Event(bool timed = false);
  ~Event();
  Event(Event&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Event& operator=(Event&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  void record(const Stream& stream);
  /// What is put on `stream` from now on runs after this point.
  void hold(const Stream& stream) const;
  /// Whether the device has come to this point; does not wait.
  bool reached() const;
  /// The host waits for this point. Counted (see host_waits).
  void wait(std::source_location where = std::source_location::current()) const;
  /// Milliseconds from `begin` to this point; both timed, and reached.
  float since(const Event& begin) const;

 private:
  CUevent_st* handle_ = nullptr;
};

/// Host memory that the device copies from and to by itself.
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

/// Device memory that is kept for the next request of its size: in stream order, memory that was given back
/// may be handed out again at once. Grows by CUDA's stream-ordered allocator.
class Arena : public std::enable_shared_from_this<Arena> {
 public:
  /// With `keeps` false, memory goes straight back to CUDA: the simulation then notices who still uses it.
  Arena(Device device, bool keeps);
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// Uninitialised memory, returned to the arena with the last pointer to it. Throws Error, which says how
  /// much was asked for and is free, when there is none.
  std::shared_ptr<std::byte> take(size_t bytes);
  /// Bytes taken from CUDA.
  size_t reserved() const { return reserved_; }

 private:
  void give_back(std::byte* data, size_t bytes);
  void release();  // gives what is unused back to CUDA

  Device device_;
  bool keeps_;
  size_t reserved_ = 0;
  std::multimap<size_t, std::byte*> unused_;  // by size
};

/// Memory from the device's arena: the one of the innermost ArenaScope, else the device's own.
std::shared_ptr<std::byte> allocate(Device device, size_t bytes);

/// Until it ends, the device's memory is taken from this arena.
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

// ---- transfers ----------------------------------------------------------------------------------

/// Copies host memory to the device: `from` may change as soon as it returns. A few kilobytes travel as
/// kernel arguments, more through a pinned buffer; nothing waits for the device unless all of these are in
/// use. Throws Error for more than a few kilobytes while a graph is captured: it could not repeat that.
void upload(Device device, void* to, const void* from, size_t bytes,
            std::source_location where = std::source_location::current());
/// Copies from the device to the host, and waits for it. Counted (see host_waits).
void download(Device device, void* to, const void* from, size_t bytes, std::source_location where);
/// Copies within the device.
void copy(Device device, void* to, const void* from, size_t bytes);
void fill_zero(Device device, void* to, size_t bytes);

// ---- graphs ----------------------------------------------------------------------------------------

/// A stretch of work that was recorded once and can be started again as a whole (a CUDA graph).
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
/// By place in the source ("train/trainer.cpp:81"), since the last reset.
std::map<std::string, HostWaits> host_waits();
HostWaits total_host_waits();
void reset_host_waits();

}  // namespace rcnn::cuda
