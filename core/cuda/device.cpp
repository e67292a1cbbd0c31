#include "core/cuda/device.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <mutex>

#include "core/cuda/cuda.h"
#include "core/cuda/side_work.h"
#include "core/cuda/tensor.h"
#include "core/error.h"
#include "core/memory.h"

namespace rcnn::cuda {

bool is_built() { return true; }
#if defined(RCNN_CUDA_SIM)
bool is_simulated() { return true; }
static int driver_version() { return 1; }
#else
bool is_simulated() { return false; }
static int driver_version() {  // 0 without a driver, of which CUDA says that it is too old
  int version = 0;
  return cudaDriverGetVersion(&version) == cudaSuccess ? version : 0;
}
#endif

namespace {

struct Found {
  int count = 0;
  std::string why_none;
};

const Found& found_devices() {
  static const Found found = [] {
    Found f;
    if (const cudaError_t status = cudaGetDeviceCount(&f.count); status != cudaSuccess) {
      f = {0, driver_version() == 0 ? "no NVIDIA driver is installed" : cudaGetErrorString(status)};
      static_cast<void>(cudaGetLastError());
    } else if (f.count == 0) {
      f.why_none = "the driver reports none";
    }
    return f;
  }();
  return found;
}

}  // namespace

int device_count() { return found_devices().count; }
std::string why_no_device() { return found_devices().why_none; }

const DeviceInfo& device_info(int index) {
  static const std::vector<DeviceInfo> all = [] {
    std::vector<DeviceInfo> list;
    for (int i = 0; i < device_count(); ++i) {
      cudaDeviceProp p;
      cuda_check(cudaGetDeviceProperties(&p, i), fmt::format("querying the properties of cuda:{}", i));
      list.push_back({p.name, p.major * 10 + p.minor, p.multiProcessorCount, p.totalGlobalMem,
                      p.sharedMemPerBlockOptin});
    }
    return list;
  }();
  check_input(index >= 0 && index < static_cast<int>(all.size()),
              "cuda:{}: there is no such device; found {}", index, all.size());
  return all[static_cast<size_t>(index)];
}

namespace {

std::recursive_mutex& mutex() {
  static std::recursive_mutex instance;
  return instance;
}
using Lock = std::lock_guard<std::recursive_mutex>;

/// The index of the device whose work stream is being captured; -1 if there is none.
int& capturing_device() {
  static int index = -1;
  return index;
}
bool is_capturing(Device device) { return capturing_device() == device.index; }

cudaStream_t create_stream(Device device) {
  select(device);
  cudaStream_t handle = nullptr;
  cuda_check(cudaStreamCreateWithFlags(&handle, cudaStreamNonBlocking), "creating a stream");
  return handle;
}

}  // namespace

Stream work_stream(Device device) {
  if (const Side* side = side_of_thread(device)) return side->stream.get();
  const Lock lock(mutex());
  static auto* streams = new std::map<int, Stream>;  // never destroyed: tensors may outlive static objects
  static_cast<void>(device_info(device.index));
  Stream& stream = (*streams)[device.index];
  if (stream.handle == nullptr) stream = {device, create_stream(device)};
  return stream;
}

// ---- the budget of synchronisations -------------------------------------------------------------
namespace {

std::map<std::string, HostWaits>& waits() {
  static auto* counts = new std::map<std::string, HostWaits>;
  return *counts;
}

void count_wait(const std::source_location& where, bool copies) {
  const Lock lock(mutex());
  HostWaits& count = waits()[fmt::format("{}:{}", where.file_name(), where.line())];
  ++count.waits;
  count.copies += copies ? 1 : 0;
}

}  // namespace

std::map<std::string, HostWaits> host_waits() {
  const Lock lock(mutex());
  return waits();
}
void reset_host_waits() {
  const Lock lock(mutex());
  waits().clear();
}

void synchronize(Device device, std::source_location where) {
  count_wait(where, false);
  cuda_check(cudaStreamSynchronize(work_stream(device).handle), "waiting for " + device.str());
}

// ---- ownership ----------------------------------------------------------------------------------

OwnedStream::OwnedStream(Device device) : stream_{device, create_stream(device)} {}
OwnedStream::~OwnedStream() { static_cast<void>(cudaStreamDestroy(stream_.handle)); }

Event::Event(Device device, bool timed) {
  select(device);
  cuda_check(cudaEventCreateWithFlags(&handle_, timed ? 0 : cudaEventDisableTiming), "creating an event");
}
Event::~Event() {
  if (handle_ != nullptr) static_cast<void>(cudaEventDestroy(handle_));
}
void Event::record(const Stream& stream) {
  select(stream.device);
  cuda_check(cudaEventRecord(handle_, stream.handle), "recording an event");
}
void Event::hold(const Stream& stream) const {
  cuda_check(cudaStreamWaitEvent(stream.handle, handle_, 0), "making a stream wait for an event");
}
bool Event::reached() const {
  const cudaError_t status = cudaEventQuery(handle_);
  if (status == cudaErrorNotReady) {
    static_cast<void>(cudaGetLastError());  // no failure, but the next launch would report it as its own
    return false;
  }
  cuda_check(status, "querying an event");
  return true;
}
void Event::wait(std::source_location where) const {
  count_wait(where, false);
  cuda_check(cudaEventSynchronize(handle_), "waiting for an event");
}
float Event::since(const Event& begin) const {
  float milliseconds = 0;
  cuda_check(cudaEventElapsedTime(&milliseconds, begin.handle_, handle_),
             "measuring the time between two events");
  return milliseconds;
}

PinnedBuffer::PinnedBuffer(size_t bytes) : bytes_(bytes) {
  void* memory = nullptr;
  cuda_check(cudaHostAlloc(&memory, bytes, cudaHostAllocDefault),
             fmt::format("allocating {} bytes of pinned host memory", bytes));
  data_ = static_cast<std::byte*>(memory);
}
PinnedBuffer::~PinnedBuffer() {
  if (data_ != nullptr) static_cast<void>(cudaFreeHost(data_));
}

Arena::Arena(Device device, bool keeps) : device_(device), keeps_(keeps) {}
Arena::~Arena() { release(); }

void Arena::release() {
  const cudaStream_t stream = work_stream(device_).handle;
  for (const auto& [bytes, data] : unused_) {
    static_cast<void>(cudaFreeAsync(data, stream));
    reserved_ -= bytes;
    count_memory(device_, -static_cast<int64_t>(bytes));
  }
  unused_.clear();
}

std::shared_ptr<std::byte> Arena::take(size_t bytes) {
  const Lock lock(mutex());
  // The simulation allocates exactly what was asked for, so that it notices accesses past the end.
  constexpr size_t kStep = 512;
  const size_t rounded =
      is_simulated() ? std::max<size_t>(bytes, 1) : (std::max<size_t>(bytes, 1) + kStep - 1) / kStep * kStep;
  const size_t max_size = is_simulated() ? rounded : rounded + rounded / 4;
  std::byte* data = nullptr;
  size_t size = rounded;
  if (const auto found = unused_.lower_bound(rounded); found != unused_.end() && found->first <= max_size) {
    size = found->first;
    data = found->second;
    unused_.erase(found);
  } else {
    check(!is_capturing(device_),
          "a graph capture needed {} bytes of memory on {} that the runs before it did not need", bytes,
          device_.str());
    select(device_);
    void* memory = nullptr;
    const cudaStream_t stream = work_stream(device_).handle;
    cudaError_t status = cudaMallocAsync(&memory, rounded, stream);
    if (status == cudaErrorMemoryAllocation && !unused_.empty()) {
      release();
      static_cast<void>(cudaStreamSynchronize(stream));  // only then can CUDA reuse it for other sizes
      static_cast<void>(cudaGetLastError());
      status = cudaMallocAsync(&memory, rounded, stream);
    }
    cuda_check(status, fmt::format("allocating {} bytes on {}, which has {}", bytes, device_.str(),
                                   device_info(device_.index).bytes));
    data = static_cast<std::byte*>(memory);
    reserved_ += rounded;
    count_memory(device_, static_cast<int64_t>(rounded));
  }
  return {data, [arena = shared_from_this(), size](std::byte* p) { arena->give_back(p, size); }};
}

void Arena::give_back(std::byte* data, size_t bytes) {
  const Lock lock(mutex());
  // Inserted before entries of the same size: the memory that was returned last is handed out first, so that
  // a step finds its gradients where they were.
  unused_.emplace_hint(unused_.lower_bound(bytes), bytes, data);
  if (!keeps_ && !is_capturing(device_)) release();  // each replay of the capture would release it again
}

namespace {

std::shared_ptr<Arena>& current_arena(int index) {
  static auto* arenas = new std::map<int, std::shared_ptr<Arena>>;
  std::shared_ptr<Arena>& arena = (*arenas)[index];
  if (!arena) arena = std::make_shared<Arena>(Device{DeviceType::cuda, index}, !is_simulated());
  return arena;
}

}  // namespace

std::shared_ptr<std::byte> allocate(Device device, size_t bytes) {
  if (const Side* side = side_of_thread(device)) return side->arena->take(bytes);
  const Lock lock(mutex());
  return current_arena(device.index)->take(bytes);
}

ArenaScope::ArenaScope(Device device, std::shared_ptr<Arena> arena) : index_(device.index) {
  const Lock lock(mutex());
  previous_ = std::exchange(current_arena(index_), std::move(arena));
}
ArenaScope::~ArenaScope() {
  const Lock lock(mutex());
  current_arena(index_) = std::move(previous_);
}

// ---- transfers ----------------------------------------------------------------------------------
namespace {

cudaStream_t selected_stream(Device device) {
  const Stream stream = work_stream(device);
  select(device);
  return stream.handle;
}

/// Pinned buffers that uploads use in turn; a buffer is reused once its copy has completed.
class UploadRing {
 public:
  explicit UploadRing(Device device) : device_(device) {}

  void copy(void* to, const void* from, size_t bytes, const std::source_location& where) {
    Slot& slot = next_slot(bytes, where);
    std::memcpy(slot.buffer.data(), from, bytes);
    const Stream stream = work_stream(device_);
    cuda_check(cudaMemcpyAsync(to, slot.buffer.data(), bytes, cudaMemcpyHostToDevice, stream.handle),
               fmt::format("copying {} bytes to {}", bytes, device_.str()));
    slot.copied.record(stream);
  }

 private:
  static constexpr size_t kSlots = 32;
  struct Slot {
    PinnedBuffer buffer;
    Event copied;
  };

  Slot& next_slot(size_t bytes, const std::source_location& where) {
    if (slots_.size() < kSlots) {
      slots_.push_back({PinnedBuffer(bytes), Event(device_)});
      return slots_.back();
    }
    Slot& slot = slots_[next_++ % kSlots];
    if (!slot.copied.reached()) slot.copied.wait(where);
    if (slot.buffer.bytes() < bytes) slot.buffer = PinnedBuffer(bytes);
    return slot;
  }

  Device device_;
  std::vector<Slot> slots_;
  size_t next_ = 0;
};

}  // namespace

void upload(Device device, void* to, const void* from, size_t bytes, std::source_location where) {
  if (bytes == 0) return;
  const Lock lock(mutex());
  select(device);
  constexpr size_t kFewBytes = 8192, kMaxCaptured = 65536;  // a capture copies the table of parameters, once
  if (bytes <= (is_capturing(device) ? kMaxCaptured : kFewBytes))
    return upload_as_arguments(device, to, from, bytes);
  check(!is_capturing(device),
        "{} bytes were copied to {} during a graph capture: a replay could not repeat the copy", bytes,
        device.str());
  static auto* rings = new std::map<int, UploadRing>;
  rings->try_emplace(device.index, device).first->second.copy(to, from, bytes, where);
}

void download(Device device, void* to, const void* from, size_t bytes, std::source_location where) {
  if (bytes == 0) return;
  const Lock lock(mutex());
  static auto* landing = new PinnedBuffer(1 << 16);
  if (landing->bytes() < bytes) *landing = PinnedBuffer(bytes);
  const cudaStream_t stream = selected_stream(device);
  count_wait(where, true);
  cuda_check(cudaMemcpyAsync(landing->data(), from, bytes, cudaMemcpyDeviceToHost, stream),
             fmt::format("copying {} bytes from {}", bytes, device.str()));
  cuda_check(cudaStreamSynchronize(stream), "waiting for " + device.str());
  std::memcpy(to, landing->data(), bytes);
}

void copy(Device device, void* to, const void* from, size_t bytes) {
  if (bytes == 0) return;
  cuda_check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, selected_stream(device)),
             fmt::format("copying {} bytes within {}", bytes, device.str()));
}

void fill_bytes(Device device, void* to, int value, size_t bytes) {
  if (bytes == 0) return;
  cuda_check(cudaMemsetAsync(to, value, bytes, selected_stream(device)),
             fmt::format("filling {} bytes on {}", bytes, device.str()));
}

// ---- graphs ----------------------------------------------------------------------------------------

Graph::~Graph() {
  if (executable_ != nullptr) static_cast<void>(cudaGraphExecDestroy(executable_));
}

void Graph::capture(Device device, const std::function<void()>& work) {
  const Lock lock(mutex());
  device_ = device;
  const cudaStream_t stream = selected_stream(device);
  cuda_check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed), "beginning to capture a graph");
  capturing_device() = device.index;
  cudaGraph_t graph = nullptr;
  const auto end = [&] {
    capturing_device() = -1;
    return cudaStreamEndCapture(stream, &graph);
  };
  try {
    work();
  } catch (...) {
    if (end() == cudaSuccess) static_cast<void>(cudaGraphDestroy(graph));
    static_cast<void>(cudaGetLastError());  // the exception reports it
    throw;
  }
  cudaError_t status = end();
  if (status == cudaSuccess) {
    status = cudaGraphInstantiate(&executable_, graph, 0);
    static_cast<void>(cudaGraphDestroy(graph));
  }
  static_cast<void>(cudaGetLastError());  // reported below
  cuda_check(status, "capturing a graph");
}

void Graph::replay() const {
  cuda_check(cudaGraphLaunch(executable_, selected_stream(device_)), "launching a graph");
}

}  // namespace rcnn::cuda
