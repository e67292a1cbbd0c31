// The simulated runtime's streams, for the files that implement it.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/cuda/sim/runtime.h"

/// One piece of work on a stream. It may run more than once, when a graph is replayed.
using SimulatedWork = std::function<void()>;
struct CUgraph_st {
  std::vector<SimulatedWork> work;
};
struct CUgraphExec_st {
  std::vector<SimulatedWork> work;
};
struct CUstream_st {
  int device = 0;
  std::deque<SimulatedWork> queue;
  std::unique_ptr<CUgraph_st> capture;  // while capturing
};
/// The part of an event that waiting streams need, which may outlive the event.
struct Recording {
  cudaStream_t stream = nullptr;       // where it was recorded last
  uint64_t recorded = 0, reached = 0;  // how often it was put on a stream, and how often a stream reached it
  std::chrono::steady_clock::time_point time;
};
struct CUevent_st {
  int device = 0;
  std::shared_ptr<Recording> recording = std::make_shared<Recording>();
};

namespace rcnn::cuda_sim {

/// Held by every call of the runtime.
std::recursive_mutex& runtime_mutex();
using RuntimeLock = std::lock_guard<std::recursive_mutex>;

/// Remembers why a call was refused, for cudaGetErrorString.
cudaError_t refuse(cudaError_t status, const std::string& sentence);
/// What the calls that wait return: a kernel's fault, if there was one.
cudaError_t outcome();
/// Refuses work on a stream of a device that this host thread has not selected.
cudaError_t refuse_other_device(cudaStream_t stream);
/// Called when the host is about to wait: it cannot wait for a stream that is being captured.
cudaError_t refuse_capture(cudaStream_t stream);

std::vector<cudaStream_t>& streams();
/// Puts work on a stream, or into the graph that is being captured from it.
cudaError_t put(cudaStream_t stream, SimulatedWork work);
/// Runs all work that waits on a stream.
void run_all(cudaStream_t stream);

}  // namespace rcnn::cuda_sim
