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

/// Something a stream does. It may run more than once, when a graph is replayed.
using SimulatedWork = std::function<void()>;
struct CUgraph_st {
  std::vector<SimulatedWork> work;
};
struct CUgraphExec_st {
  std::vector<SimulatedWork> work;
};
struct CUstream_st {
  std::deque<SimulatedWork> queue;
  std::unique_ptr<CUgraph_st> capture;  // while capturing
};
/// What an event's waiters need, who may outlive it.
struct Recording {
  cudaStream_t stream = nullptr;       // where it was recorded last
  uint64_t recorded = 0, reached = 0;  // how often it was put on a stream, and how often a stream came to it
  std::chrono::steady_clock::time_point time;
};
struct CUevent_st {
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
/// The host is about to wait: a capturing stream cannot be waited for.
cudaError_t refuse_capture(cudaStream_t stream);

std::vector<cudaStream_t>& streams();
/// Puts work on a stream, or into the graph that is being captured from it.
cudaError_t put(cudaStream_t stream, SimulatedWork work);
/// Runs what waits on a stream.
void run_all(cudaStream_t stream);

}  // namespace rcnn::cuda_sim
