// The simulated runtime: streams, events, copies, memory and graphs.
#include "core/cuda/sim/runtime.h"

#include <fmt/format.h>

#include <sys/mman.h>
#include <unistd.h>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "core/cuda/cuda.h"
#include "core/cuda/sim/memory.h"
#include "core/cuda/sim/scheduler.h"
#include "core/cuda/sim/simulation.h"
#include "core/cuda/sim/streams.h"

namespace {

using namespace rcnn::cuda_sim;

cudaError_t last_error = cudaSuccess;
std::string last_sentence;
thread_local int selected_device = 0;

cudaError_t refuse_number(int device) {
  if (device >= 0 && device < kDevices) return cudaSuccess;
  return refuse(cudaErrorInvalidDevice,
                fmt::format("the simulation has {} devices, not one with the number {}", kDevices, device));
}

// ---- running queued work ------------------------------------------------------------------------

void run_one(cudaStream_t stream) {
  const SimulatedWork work = std::move(stream->queue.front());
  stream->queue.pop_front();
  const OpenDevice open;
  work();
}

void run_until(const Recording& event, uint64_t count) {
  if (std::find(streams().begin(), streams().end(), event.stream) == streams().end())
    return;  // the stream was destroyed, after running all its work
  while (event.reached < count && !event.stream->queue.empty()) run_one(event.stream);
}

}  // namespace

namespace rcnn::cuda_sim {

std::recursive_mutex& runtime_mutex() {
  static std::recursive_mutex instance;
  return instance;
}

cudaError_t refuse(cudaError_t status, const std::string& sentence) {
  last_error = status;
  last_sentence = sentence;
  return status;
}

std::vector<cudaStream_t>& streams() {
  static auto* all = new std::vector<cudaStream_t>;
  return *all;
}

void run_all(cudaStream_t stream) {
  if (stream->queue.empty()) return;
  const OpenDevice open;  // opened once for all of them
  while (!stream->queue.empty()) run_one(stream);
}

cudaError_t put(cudaStream_t stream, SimulatedWork work) {
  if (stream == nullptr)
    return refuse(cudaErrorInvalidValue, "work was put on the default stream: the simulation has none");
  if (stream->capture) {
    stream->capture->work.push_back(std::move(work));
    return cudaSuccess;
  }
  stream->queue.push_back(std::move(work));
  if (settings().eager) run_all(stream);
  return cudaSuccess;
}

cudaError_t outcome() {
  if (fault().empty()) return cudaSuccess;
  return refuse(cudaErrorLaunchFailure, fault());
}

cudaError_t refuse_other_device(cudaStream_t stream) {
  if (stream == nullptr || stream->device == selected_device) return cudaSuccess;
  return refuse(cudaErrorInvalidValue,
                fmt::format("work was put on a stream of device {} while device {} was selected",
                            stream->device, selected_device));
}

/// Called when the host is about to wait: it cannot wait for a stream that is being captured.
cudaError_t refuse_capture(cudaStream_t stream) {
  if (stream == nullptr || !stream->capture) return cudaSuccess;
  return refuse(cudaErrorStreamCaptureUnsupported, "the host waits for a stream that is being captured");
}

cudaError_t enqueue(cudaStream_t stream, Launch launch) {
  const RuntimeLock lock(runtime_mutex());
  if (const cudaError_t status = refuse_other_device(stream); status != cudaSuccess) return status;
  if (const std::string why = refused(launch); !why.empty())
    return refuse(cudaErrorInvalidConfiguration, why);
  return put(stream, [launch = std::move(launch)] {
    if (fault().empty()) run_launch(launch);
  });
}

cudaError_t check_argument(const void* argument, const void* without_padding, size_t bytes,
                           std::string_view signature, size_t index) {
  for (size_t at = 0; at + sizeof(uintptr_t) <= bytes; at += sizeof(uintptr_t)) {
    uintptr_t word;
    std::memcpy(&word, static_cast<const char*>(argument) + at, sizeof word);
    if (std::memcmp(&word, static_cast<const char*>(without_padding) + at, sizeof word) != 0) continue;
    const auto* pointer = reinterpret_cast<const void*>(word);
    if (word < 65536 || word >> 47 != 0 || is_device_address(pointer)) continue;
    // Neither small nor an address of the device: it is a host pointer if the page exists.
    const uintptr_t page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    unsigned char resident;
    if (mincore(reinterpret_cast<void*>(word / page * page), 1, &resident) != 0) continue;
    return refuse(
        cudaErrorInvalidValue,
        fmt::format("argument {} of kernel {} holds a pointer to host memory, at byte {} of the argument",
                    index, rcnn::cuda::kernel_name(signature), at));
  }
  return cudaSuccess;
}

}  // namespace rcnn::cuda_sim

const char* cudaGetErrorString(cudaError_t status) {
  const RuntimeLock lock(runtime_mutex());
  static thread_local std::string text;
  if (status == last_error && !last_sentence.empty()) return (text = last_sentence).c_str();
  switch (status) {
    case cudaSuccess:
      return "no error";
    case cudaErrorInvalidValue:
      return "invalid argument";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorInvalidConfiguration:
      return "invalid configuration argument";
    case cudaErrorInvalidDevice:
      return "invalid device ordinal";
    case cudaErrorNotReady:
      return "device not ready";
    case cudaErrorLaunchFailure:
      return "unspecified launch failure";
    case cudaErrorStreamCaptureUnsupported:
      return "operation not permitted when stream is capturing";
  }
  return "unknown error";
}

cudaError_t cudaGetLastError() {
  const RuntimeLock lock(runtime_mutex());
  return std::exchange(last_error, cudaSuccess);
}

cudaError_t cudaGetDeviceCount(int* count) {
  *count = kDevices;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (const cudaError_t status = refuse_number(device); status != cudaSuccess) return status;
  *properties = {};
  std::snprintf(properties->name, sizeof properties->name, "simulated device (CPU)");
  properties->major = 9;
  properties->minor = 0;
  properties->multiProcessorCount = 4;
  properties->totalGlobalMem = device_bytes();
  properties->sharedMemPerBlockOptin = 227 * 1024;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetPCIBusId(char* name, int bytes, int device) {
  if (const cudaError_t status = refuse_number(device); status != cudaSuccess) return status;
  std::snprintf(name, static_cast<size_t>(bytes), "sim:%d", device);
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  const cudaError_t status = refuse_number(device);
  if (status == cudaSuccess) selected_device = device;
  return status;
}

cudaError_t cudaMemGetInfo(size_t* free_bytes, size_t* total_bytes) {
  const RuntimeLock lock(runtime_mutex());
  *total_bytes = device_bytes();
  *free_bytes = device_bytes() - device_bytes_in_use();
  return cudaSuccess;
}

// ---- streams and events -------------------------------------------------------------------------

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  const RuntimeLock lock(runtime_mutex());
  *stream = new CUstream_st;
  (*stream)->device = selected_device;
  streams().push_back(*stream);
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const RuntimeLock lock(runtime_mutex());
  run_all(stream);
  std::erase(streams(), stream);
  delete stream;
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const RuntimeLock lock(runtime_mutex());
  if (const cudaError_t status = refuse_capture(stream); status != cudaSuccess) return status;
  run_all(stream);
  return outcome();
}

cudaError_t cudaDeviceSynchronize() {
  const RuntimeLock lock(runtime_mutex());
  for (cudaStream_t s : streams()) {
    if (const cudaError_t status = refuse_capture(s); status != cudaSuccess) return status;
    run_all(s);
  }
  return outcome();
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  const RuntimeLock lock(runtime_mutex());
  const auto recording = event->recording;
  if (recording->recorded == 0) return cudaSuccess;
  return put(stream, [recording, count = recording->recorded] { run_until(*recording, count); });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new CUevent_st;
  (*event)->device = selected_device;
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const RuntimeLock lock(runtime_mutex());
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const RuntimeLock lock(runtime_mutex());
  if (const cudaError_t status = refuse_other_device(stream); status != cudaSuccess) return status;
  if (stream != nullptr && event->device != stream->device)
    return refuse(cudaErrorInvalidValue,
                  fmt::format("an event of device {} was recorded on a stream of device {}", event->device,
                              stream->device));
  const auto recording = event->recording;
  recording->stream = stream;
  return put(stream, [recording, count = ++recording->recorded] {
    recording->reached = std::max(recording->reached, count);
    recording->time = std::chrono::steady_clock::now();
  });
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  const RuntimeLock lock(runtime_mutex());
  run_until(*event->recording, event->recording->recorded);
  return outcome();
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  const RuntimeLock lock(runtime_mutex());
  run_until(*event->recording, event->recording->recorded);
  return outcome();
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
  const RuntimeLock lock(runtime_mutex());
  const Recording &from = *begin->recording, &to = *end->recording;
  if (from.reached < from.recorded || to.reached < to.recorded)
    return refuse(cudaErrorNotReady, "the time between events that the device has not reached");
  *milliseconds = std::chrono::duration<float, std::milli>(to.time - from.time).count();
  return cudaSuccess;
}

// ---- graphs -------------------------------------------------------------------------------------

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  const RuntimeLock lock(runtime_mutex());
  if (stream->capture)
    return refuse(cudaErrorStreamCaptureUnsupported, "the stream is being captured already");
  stream->capture = std::make_unique<CUgraph_st>();
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const RuntimeLock lock(runtime_mutex());
  if (!stream->capture) return refuse(cudaErrorInvalidValue, "the stream is not being captured");
  *graph = stream->capture.release();
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  *executable = new CUgraphExec_st{graph->work};
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  const RuntimeLock lock(runtime_mutex());
  for (cudaStream_t s : streams()) run_all(s);
  delete executable;
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  const RuntimeLock lock(runtime_mutex());
  if (const cudaError_t status = refuse_other_device(stream); status != cudaSuccess) return status;
  for (const SimulatedWork& work : executable->work)
    if (const cudaError_t status = put(stream, work); status != cudaSuccess) return status;
  return cudaSuccess;
}
