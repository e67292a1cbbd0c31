// The simulation catches faults that a GPU would let pass, and reports where they are. Under CONFIG=races the
// check of every access finds them in any order; elsewhere they show as results that differ between orders,
// or as damage to the filling around the memory. What only the check of every access finds is in
// test_races.cu.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "tests/core/cuda/simulated_device.h"

namespace rcnn {
namespace {

/// What a test gives in ascending and in descending order: results, or the messages of faults.
struct Outcome {
  std::vector<int> result[2];
  std::string fault[2];
  bool differs() const { return result[0] != result[1]; }
};

template <class Launcher>
Outcome in_both_orders(size_t count, const Launcher& start) {
  Outcome outcome;
  for (const int i : {0, 1}) {
    SimulatedDevice device;
    device.set_order(i == 0 ? cuda_sim::Order::ascending : cuda_sim::Order::descending);
    int* out = device.upload(std::vector<int>(count, 0));
    start(device, out);
    outcome.fault[i] = device.wait();
    outcome.result[i] = device.download(out, count);
  }
  return outcome;
}

/// Checks a fault of ordering: the check of every access must name it, and without the check it must show in
/// the results.
void check_order_fault(const Outcome& outcome, std::initializer_list<std::string> parts) {
  if (!kRaceCheck) CHECK(outcome.differs());
  for (const std::string& fault : outcome.fault) {
    if (kRaceCheck) check_parts(fault, parts);
    if (!kRaceCheck) CHECK(fault == "");
  }
}

std::string line(int number) { return "tests/core/cuda/test_sim_faults.cu:" + std::to_string(number); }

// ---- order --------------------------------------------------------------------------------------

constexpr int kMissingBarrier = __LINE__;
__global__ void missing_barrier_kernel(int* out) {
  RCNN_SHARED(int, tile, [64]);
  const unsigned t = threadIdx.x;
  tile[t] = 0;
  __syncthreads();
  tile[t] = static_cast<int>(t);
  out[t] = tile[63 - t];
}

TEST_CASE("caught: a missing barrier") {
  const Outcome outcome = in_both_orders(64, [](SimulatedDevice& device, int* out) {
    launch<missing_barrier_kernel>(device.stream, 1, 64, 0, out);
  });
  check_order_fault(outcome, {"kernel missing_barrier_kernel, block (0, 0, 0), thread (", "race: byte ",
                              "of the shared array `tile`", "with no barrier between them",
                              line(kMissingBarrier + 6), line(kMissingBarrier + 7)});
}

__global__ void block_race_kernel(int* out) { *out = static_cast<int>(blockIdx.x); }

TEST_CASE("caught: a race between blocks") {
  const Outcome outcome = in_both_orders(
      1, [](SimulatedDevice& device, int* out) { launch<block_race_kernel>(device.stream, 4, 1, 0, out); });
  check_order_fault(outcome,
                    {"race: byte 0 of an allocation of 4 bytes was written by thread (0, 0, 0) of block (",
                     "and blocks run in any order"});
}

/// Each block reads what another one writes.
__global__ void neighbour_block_kernel(int* out) {
  const unsigned i = blockIdx.x, next = (i + 1) % gridDim.x;
  out[i] = out[next] + 1;
}

TEST_CASE("caught: a block that reads what another writes") {
  const Outcome outcome = in_both_orders(4, [](SimulatedDevice& device, int* out) {
    launch<neighbour_block_kernel>(device.stream, 4, 1, 0, out);
  });
  check_order_fault(outcome, {"race: byte ", "written by", "read by", "and blocks run in any order"});
}

__global__ void warp_kernel(int* out, bool wait) {
  RCNN_SHARED(int, tile, [32]);
  const unsigned t = threadIdx.x;
  tile[t] = static_cast<int>(t);
  __syncwarp();
  const int next = tile[(t + 1) % 32];
  if (wait) __syncwarp();
  tile[t] = next;
  __syncwarp();
  out[t] = tile[t];
}

TEST_CASE("caught: a missing __syncwarp") {
  for (const bool wait : {false, true}) {
    const Outcome outcome = in_both_orders(32, [&](SimulatedDevice& device, int* out) {
      launch<warp_kernel>(device.stream, 1, 32, 0, out, wait);
    });
    if (!wait) {
      check_order_fault(outcome, {"race: byte ", "of the shared array `tile`",
                                  "with no barrier or __syncwarp between them"});
      continue;
    }
    for (const int i : {0, 1}) {
      CHECK(outcome.fault[i] == "");
      for (int t = 0; t < 32; ++t) CHECK(outcome.result[i][static_cast<size_t>(t)] == (t + 1) % 32);
    }
  }
}

constexpr int kMissingWait = __LINE__;
__global__ void missing_wait_kernel(const int* in, int* out) {
  RCNN_SHARED(int, tile, [64]);
  const unsigned t = threadIdx.x;
  cuda_sim::cp_async_4(tile + t, in + t, true);
  cuda_sim::cp_async_commit();
  cuda_sim::cp_async_wait<1>();  // of the groups before this one
  __syncthreads();
  out[t] = tile[t];
}

TEST_CASE("caught: a missing cp.async wait") {
  const Outcome outcome = in_both_orders(64, [](SimulatedDevice& device, int* out) {
    launch<missing_wait_kernel>(device.stream, 1, 64, 0, device.upload(std::vector<int>(64, 5)), out);
  });
  check_order_fault(outcome, {"missing wait: it read byte ", "of the shared array `tile`",
                              "started a cp.async", line(kMissingWait + 4), line(kMissingWait + 8)});
}

constexpr int kUninitialised = __LINE__;
__global__ void uninitialised_kernel(int* out) {
  RCNN_SHARED(int, tile, [64]);
  const unsigned t = threadIdx.x;
  if (t != 50) tile[t] = 1;
  __syncthreads();
  out[t] = tile[t];
}

TEST_CASE("caught: uninitialised shared memory") {
  const Outcome outcome = in_both_orders(64, [](SimulatedDevice& device, int* out) {
    launch<uninitialised_kernel>(device.stream, 2, 64, 0, out);
  });
  check_order_fault(outcome, {"thread (50, 0, 0): uninitialised shared memory: it read byte 200 of the 256 "
                              "of the shared array `tile`",
                              line(kUninitialised + 6), "which no thread of the block has written"});
}

// ---- barriers -----------------------------------------------------------------------------------

__global__ void leaving_kernel() {
  if (threadIdx.x < 5) return;
  __syncthreads();
}
constexpr int kTwoBarriers = __LINE__;
__global__ void two_barriers_kernel() {
  if (threadIdx.x < 5)
    __syncthreads();
  else
    __syncthreads();
}
__global__ void absent_lane_kernel() {
  if (threadIdx.x != 7) __syncwarp();
}
__global__ void two_masks_kernel() { __syncwarp(threadIdx.x < 8 ? 0xFFu : 0xFFFFFF80u); }
__global__ void stranger_kernel() { __syncwarp(0xFEu); }
__global__ void trap_kernel() { __trap(); }

TEST_CASE("caught: barriers and warp operations that not all threads reach") {
  in_every_order([](SimulatedDevice& device) {
    launch<leaving_kernel>(device.stream, 1, 64, 0);
    check_parts(device.wait(), {"kernel leaving_kernel, block (0, 0, 0): divergent barrier: thread (5, 0, 0) "
                                "waits at the barrier of ",
                                "but thread (0, 0, 0) has left the kernel"});
    launch<two_barriers_kernel>(device.stream, 1, 64, 0);
    check_parts(device.wait(), {"divergent barrier: thread (0, 0, 0) waits at the barrier of " +
                                    line(kTwoBarriers + 3) + ", but ",
                                "thread (5, 0, 0) waits at the barrier of " + line(kTwoBarriers + 5)});
    launch<absent_lane_kernel>(device.stream, 1, 32, 0);
    check_parts(device.wait(), {"divergent warp operation: thread (0, 0, 0) waits at ",
                                "but thread (7, 0, 0) has left the kernel"});
    launch<two_masks_kernel>(device.stream, 1, 32, 0);
    check_parts(device.wait(), {"divergent warp operation: thread (8, 0, 0) waits at ",
                                "for the lanes 0xffffff80, but thread (7, 0, 0) has left the kernel"});
    launch<stranger_kernel>(device.stream, 1, 1, 0);
    check_parts(device.wait(), {"it is not among the lanes"});
    launch<trap_kernel>(device.stream, 1, 1, 0);
    check_parts(device.wait(), {"__trap at ", "test_sim_faults.cu:"});
  });
}

// ---- stray accesses -----------------------------------------------------------------------------

__global__ void write_kernel(int* out, int64_t at) { out[at] = 1; }
__global__ void read_kernel(const int* in, int64_t at, int* out) { *out = in[at]; }
__global__ void shared_write_kernel(int at) {
  RCNN_SHARED(int, first, [5]);
  RCNN_SHARED(int, second, [5]);
  second[0] = 0;
  int* const begin = first;  // a pointer, because the compiler knows the size of the array and would warn
  begin[at] = 1;
}
__global__ void dynamic_write_kernel(int at) { dynamic_shared<int>()[at] = 1; }

TEST_CASE("caught: writes and reads outside of device memory") {
  in_every_order([](SimulatedDevice& device) {
    int* x = device.upload(std::vector<int>(1001));
    int* y = device.allocate<int>(1);
    const auto write = [&](int64_t at) {
      launch<write_kernel>(device.stream, 1, 1, 0, x, at);
      return device.wait();
    };
    CHECK(write(1000) == "");
    check_parts(write(1001), {"kernel write_kernel", "it wrote", "1 bytes past an allocation of 4004 bytes"});
    check_parts(write(-1), {"it wrote", "4 bytes before an allocation of 4004 bytes"});
    check_parts(write(1500),
                {"thread (0, 0, 0): it wrote to ", "1997 bytes past an allocation of 4004 bytes"});
    check_parts(write(int64_t{1} << 30), {"it wrote to device memory that is not allocated or was freed"});
    const auto read = [&](int64_t at) {
      launch<read_kernel>(device.stream, 1, 1, 0, x, at, y);
      return device.wait();
    };
    CHECK(read(1000) == "");
    check_parts(read(1500), {"it read 1997 bytes past an allocation of 4004 bytes"});
    if (kRaceCheck)
      check_parts(read(1001), {"it read 1 bytes past an allocation of 4004 bytes", "test_sim_faults.cu:"});
    launch<write_kernel>(device.stream, 1, 1, 0, static_cast<int*>(nullptr), 3);
    check_parts(device.wait(), {"it wrote to", "0xc"});
  });
}

TEST_CASE("caught: writes outside of shared memory") {
  in_every_order([](SimulatedDevice& device) {
    const auto write = [&](int at) {
      launch<shared_write_kernel>(device.stream, 1, 1, 0, at);
      return device.wait();
    };
    CHECK(write(4) == "");
    check_parts(write(5), {"wrote", "1 bytes past the shared array `first`, which has 20"});
    check_parts(write(-1), {"wrote", kRaceCheck ? "before the block's arrays"
                                                : "4 bytes before the shared array `first`"});
    const auto write_dynamic = [&](int at) {
      launch<dynamic_write_kernel>(device.stream, 1, 1, 20, at);
      return device.wait();
    };
    CHECK(write_dynamic(4) == "");
    check_parts(write_dynamic(5), {"wrote", "the 20 bytes of dynamic shared memory"});
    CHECK(write_dynamic(60) != "");  // beyond the alignment: a closed page
  });
}

TEST_CASE("caught: memory that was freed") {
  SimulatedDevice device;
  void* memory = nullptr;
  cuda_check(cudaMallocAsync(&memory, 400, device.stream.handle), "memory");
  cuda_check(cudaFreeAsync(memory, device.stream.handle), "a free");
  launch<write_kernel>(device.stream, 1, 1, 0, static_cast<int*>(memory), 3);
  check_parts(device.wait(), {"it wrote to device memory that is not allocated or was freed"});
}

TEST_CASE("after a fault nothing runs and every wait fails, until the fault is forgotten") {
  SimulatedDevice device;
  int* x = device.upload(std::vector<int>{0});
  launch<trap_kernel>(device.stream, 1, 1, 0);
  launch<write_kernel>(device.stream, 1, 1, 0, x, 0);
  CHECK(cudaStreamSynchronize(device.stream.handle) == cudaErrorLaunchFailure);
  CHECK(cudaStreamSynchronize(device.stream.handle) == cudaErrorLaunchFailure);
  CHECK_THROWS_WITH_AS(device.download(x, 1), doctest::Contains("__trap at"), Error);
  cuda_sim::forget_fault();
  CHECK(device.download(x, 1)[0] == 0);
  launch<write_kernel>(device.stream, 1, 1, 0, x, 0);
  CHECK(device.download(x, 1)[0] == 1);
}

// ---- host and device ----------------------------------------------------------------------------

TEST_CASE("caught: the host reads device memory") {
  SimulatedDevice device;
  const volatile int* x = device.upload(std::vector<int>{5});
  CHECK(device.wait() == "");
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t child = fork();
  if (child == 0) {
    const rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    dup2(ends[1], STDOUT_FILENO);  // also the test framework's report of the crash
    dup2(ends[1], STDERR_FILENO);
    _exit(x[0] == 5 ? 0 : 1);
  }
  close(ends[1]);
  std::string said;
  char part[512];
  for (ssize_t n; (n = read(ends[0], part, sizeof part)) > 0;) said.append(part, static_cast<size_t>(n));
  close(ends[0]);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(!(WIFEXITED(status) && WEXITSTATUS(status) == 0));
  check_parts(said, {"the host touched device memory"});
}

struct Hidden {
  int count;
  const int* data;
};
__global__ void hidden_kernel(Hidden hidden, int* out) { *out = hidden.data[0]; }
__global__ void disguised_kernel(uint64_t pointer, int* out) {
  *out = *reinterpret_cast<const int*>(~pointer);
}

TEST_CASE("caught: a pointer to host memory given to a kernel") {
  SimulatedDevice device;
  const std::vector<int> on_heap = {1};
  const int on_stack = 1;
  static const int in_program = 1;
  int* out = device.allocate<int>(1);
  for (const int* pointer : {on_heap.data(), &on_stack, &in_program})
    CHECK_THROWS_WITH_AS(
        launch<hidden_kernel>(device.stream, 1, 1, 0, Hidden{3, pointer}, out),
        doctest::Contains(
            "argument 1 of kernel hidden_kernel holds a pointer to host memory, at byte 8 of the argument"),
        Error);
  cudaGetLastError();
  if (!kRaceCheck) return;
  launch<disguised_kernel>(device.stream, 1, 1, 0, ~reinterpret_cast<uint64_t>(on_heap.data()), out);
  check_parts(device.wait(), {"it read memory of the host at ", "test_sim_faults.cu:"});
}

TEST_CASE("caught: a pinned buffer used before its copy ended") {
  SimulatedDevice device;
  int* x = device.allocate<int>(4);
  void* pointer = nullptr;
  cuda_check(cudaHostAlloc(&pointer, 16, cudaHostAllocDefault), "pinned memory");
  auto* pinned = static_cast<int*>(pointer);
  for (const bool too_early : {false, true})
    for (const bool to_device : {true, false}) {
      for (int i = 0; i < 4; ++i) pinned[i] = i;
      cuda_check(
          cudaMemcpyAsync(to_device ? x : pinned, to_device ? pinned : x, 16,
                          to_device ? cudaMemcpyHostToDevice : cudaMemcpyDeviceToHost, device.stream.handle),
          "a copy");
      if (!too_early) CHECK(device.wait() == "");
      pinned[2] = 100;
      const std::string fault = device.wait();
      if (!too_early)
        CHECK(fault == "");
      else
        check_parts(fault, {"a pinned buffer of 16 bytes was ",
                            to_device ? "changed before its copy to the device had ended"
                                      : "written before the copy from the device into it had ended"});
    }
  cudaFreeHost(pointer);
}

}  // namespace
}  // namespace rcnn
