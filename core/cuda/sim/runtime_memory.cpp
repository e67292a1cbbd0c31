// The simulated runtime: memory and copies.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <vector>

#include "core/cuda/sim/memory.h"
#include "core/cuda/sim/scheduler.h"
#include "core/cuda/sim/simulation.h"
#include "core/cuda/sim/streams.h"

namespace {

using namespace rcnn::cuda_sim;

/// Pinned host buffers and their sizes.
std::map<std::byte*, size_t>& pinned() {
  static auto* buffers = new std::map<std::byte*, size_t>;
  return *buffers;
}

bool is_pinned(const void* pointer, size_t bytes) {
  auto* p = static_cast<std::byte*>(const_cast<void*>(pointer));
  auto next = pinned().upper_bound(p);
  if (next == pinned().begin()) return false;
  --next;
  return p + bytes <= next->first + next->second;
}

/// An FNV-1a hash, to notice a buffer that changed.
uint64_t digest(const void* data, size_t bytes) {
  uint64_t hash = 14695981039346656037ull;
  const auto* p = static_cast<const unsigned char*>(data);
  for (size_t i = 0; i < bytes; ++i) hash = (hash ^ p[i]) * 1099511628211ull;
  return hash;
}

}  // namespace

cudaError_t cudaMallocAsync(void** pointer, size_t bytes, cudaStream_t stream) {
  const RuntimeLock lock(runtime_mutex());
  install_access_handler();
  if (const cudaError_t status = refuse_other_device(stream); status != cudaSuccess) return status;
  if (stream != nullptr && stream->capture)
    return refuse(cudaErrorStreamCaptureUnsupported,
                  "memory was allocated while a stream was being captured");
  *pointer = allocate_device(bytes);
  if (*pointer == nullptr) {  // frees may be waiting on the streams
    for (cudaStream_t s : streams()) run_all(s);
    *pointer = allocate_device(bytes);
  }
  if (*pointer != nullptr) return cudaSuccess;
  return refuse(cudaErrorMemoryAllocation, fmt::format("out of memory: {} of {} bytes are in use",
                                                       device_bytes_in_use(), device_bytes()));
}

cudaError_t cudaFreeAsync(void* pointer, cudaStream_t stream) {
  const RuntimeLock lock(runtime_mutex());
  if (!is_device_range(pointer, 0))
    return refuse(cudaErrorInvalidValue, "the freed pointer is not an allocation of the device");
  return put(stream, [pointer] {
    if (!free_device(pointer)) report_fault("device memory was freed twice");
  });
}

cudaError_t cudaHostAlloc(void** pointer, size_t bytes, unsigned) {
  const RuntimeLock lock(runtime_mutex());
  *pointer = std::aligned_alloc(64, (std::max<size_t>(bytes, 1) + 63) / 64 * 64);
  if (*pointer == nullptr) return refuse(cudaErrorMemoryAllocation, "out of host memory");
  pinned()[static_cast<std::byte*>(*pointer)] = bytes;
  return cudaSuccess;
}

cudaError_t cudaFreeHost(void* pointer) {
  const RuntimeLock lock(runtime_mutex());
  for (cudaStream_t s : streams()) run_all(s);  // as the runtime does
  if (pinned().erase(static_cast<std::byte*>(pointer)) == 0)
    return refuse(cudaErrorInvalidValue, "the freed pointer is not a pinned buffer");
  std::free(pointer);
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  const RuntimeLock lock(runtime_mutex());
  if (bytes == 0) return cudaSuccess;
  if (const cudaError_t status = refuse_other_device(stream); status != cudaSuccess) return status;
  const bool to_device = kind != cudaMemcpyDeviceToHost, from_device = kind != cudaMemcpyHostToDevice;
  if ((to_device && !is_device_range(to, bytes)) || (from_device && !is_device_range(from, bytes)))
    return refuse(
        cudaErrorInvalidValue,
        fmt::format("a copy of {} bytes names memory that is not inside an allocation of the device", bytes));
  if (kind == cudaMemcpyDeviceToDevice) return put(stream, [=] { std::memmove(to, from, bytes); });
  if (kind == cudaMemcpyHostToDevice) {
    if (!is_pinned(from, bytes)) {  // as the runtime does: pageable memory is read before the call returns
      auto copy = std::make_shared<std::vector<unsigned char>>(
          static_cast<const unsigned char*>(from), static_cast<const unsigned char*>(from) + bytes);
      return put(stream, [=] { std::memcpy(to, copy->data(), bytes); });
    }
    const bool captured = stream != nullptr && stream->capture;
    const uint64_t before = digest(from, bytes);
    return put(stream, [=] {
      if (!captured && digest(from, bytes) != before)
        report_fault(fmt::format(
            "a pinned buffer of {} bytes was changed before its copy to the device had ended", bytes));
      std::memcpy(to, from, bytes);
    });
  }
  if (!is_pinned(to, bytes)) {  // pageable: the call returns when the copy has ended
    if (const cudaError_t status = refuse_capture(stream); status != cudaSuccess) return status;
    if (const cudaError_t status = put(stream, [=] { std::memcpy(to, from, bytes); }); status != cudaSuccess)
      return status;
    run_all(stream);
    return outcome();
  }
  std::memset(to, poison(), bytes);  // a read that comes too early finds this
  const uint64_t before = digest(to, bytes);
  const bool captured = stream != nullptr && stream->capture;
  return put(stream, [=] {
    if (!captured && digest(to, bytes) != before)
      report_fault(fmt::format(
          "a pinned buffer of {} bytes was written before the copy from the device into it had ended",
          bytes));
    std::memcpy(to, from, bytes);
  });
}

cudaError_t cudaMemsetAsync(void* pointer, int value, size_t bytes, cudaStream_t stream) {
  const RuntimeLock lock(runtime_mutex());
  if (bytes == 0) return cudaSuccess;
  if (const cudaError_t status = refuse_other_device(stream); status != cudaSuccess) return status;
  if (!is_device_range(pointer, bytes))
    return refuse(
        cudaErrorInvalidValue,
        fmt::format("a fill of {} bytes names memory that is not inside an allocation of the device", bytes));
  return put(stream, [=] { std::memset(pointer, value, bytes); });
}
