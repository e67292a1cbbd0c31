// The threads of the running block, for the scheduler and for the functions that kernels call.
#pragma once

#include <boost/context/detail/fcontext.hpp>
#include <cstddef>
#include <random>
#include <string>
#include <vector>

#include "core/cuda/sim/device_code.h"

namespace rcnn::cuda_sim {

inline constexpr size_t kSharedLimit = 227 * 1024;  // of static and dynamic memory together, as on sm_90
inline constexpr size_t kDeclaredLimit = 48 * 1024;
inline constexpr size_t kGap = 64;  // of filling between the arrays of a block

enum class State { fresh, ready, at_barrier, at_warp, done };

/// A stack on which threads of kernels run, one after another.
struct Fiber {
  std::byte* stack;
  boost::context::detail::fcontext_t context;
};

struct Copy {
  void* shared;
  const void* global;  // null if zeros are written
  size_t bytes;
  int group;
  bool arrived;  // the entry stays until the copy is waited for
  const void* caller;
};

struct Thread {
  State state;
  Fiber* fiber;
  unsigned index;
  const char* site;  // of the barrier or warp operation at which it waits
  Vote vote;
  bool predicate;
  int barrier_result;
  unsigned mask;
  const void* operand;
  void* result;
  std::vector<Copy> copies;  // by cp.async, not waited for yet
  int copy_group;
};

struct SharedArray {
  const void* declaration;
  size_t offset, bytes;
  const char* name;
};

struct Scheduler {
  const Launch* launch = nullptr;
  std::vector<Thread> threads;
  std::vector<unsigned> order;    // of the threads of a block
  std::vector<unsigned> arrived;  // of each warp: lanes that wait at a warp operation
  std::vector<Fiber*> idle;
  std::vector<Fiber*> all;
  Thread* running = nullptr;
  boost::context::detail::fcontext_t self = nullptr;  // the scheduler's own context while a thread runs
  bool failed = false;
  std::mt19937_64 random;

  /// kSharedLimit bytes of static memory, a closed page, kSharedLimit of dynamic memory, a closed page.
  std::byte* shared = nullptr;
  std::byte* dynamic_end = nullptr;
  std::vector<SharedArray> arrays;
  size_t static_bytes = 0;    // of the arrays and the gaps before them
  size_t declared_bytes = 0;  // of the arrays alone
};

Scheduler& scheduler();

/// Suspends the running thread until the scheduler resumes it.
void to_scheduler();
/// Where a block's dynamic shared memory begins.
std::byte* dynamic_begin();
/// "thread (1, 0, 0) waits at the barrier of FILE:LINE".
std::string where_it_is(const Thread& thread);

}  // namespace rcnn::cuda_sim
