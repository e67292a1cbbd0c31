// The race check's interface (CONFIG=races): the events that the scheduler and the device's memory report to
// it. In other configurations nothing is watched and every function here is empty.
//
// In that configuration g++ compiles the .cu files with -fsanitize=thread, which puts a call before every
// access to memory. core/cuda/sim/access_hooks.cpp implements these calls in place of the sanitizer's
// library. Since the simulation itself runs the threads, the check knows which accesses are ordered and which
// only happened to come one after the other: what it reports is a fault in any order of the threads, and a
// run in any order finds it.
#pragma once

#include <cstddef>

namespace rcnn::cuda_sim {

enum class Access { read, write, atomic };

#if defined(RCNN_RACE_CHECK)

/// Whether this host thread is running the code of a kernel now.
extern constinit thread_local bool watching;
/// Whether accesses are counted (access_count.h) instead of checked.
extern constinit bool counting;

/// Suspends the check during its lifetime, while the simulation itself works on behalf of a kernel.
class Unwatched {
 public:
  Unwatched() : before_(watching) { watching = false; }
  ~Unwatched() { watching = before_; }
  Unwatched(const Unwatched&) = delete;
  Unwatched& operator=(const Unwatched&) = delete;

 private:
  bool before_;
};

/// Where the shared memory of all blocks lies. Called once, before the first launch.
void watch_shared_memory(const void* begin, size_t bytes);
/// A launch begins; it ends with watch_end.
void watch_launch();
/// Whether a block of the launch is to run: all, unless some are counted.
bool watch_wants(size_t block, size_t blocks);
/// A block begins: it may not use any shared memory yet, and none of it has been written.
void watch_block(unsigned block);
/// The block may use this shared memory. The name is that of an array, or null for dynamic shared memory.
void watch_shared(const void* begin, size_t bytes, const char* name);
/// This thread of the block runs from now on, on this stack.
void watch_thread(unsigned thread, const void* stack, size_t stack_bytes);
/// The scheduler runs from now on.
void watch_scheduler();
/// All threads of the block have met at a barrier.
void watch_barrier();
/// The running thread waits for these lanes of its warp, at a warp operation of any kind.
void watch_meeting(unsigned mask);
/// These lanes have met at __syncwarp; one of them is the running thread.
void watch_warp(unsigned warp, unsigned mask);
void watch_end();

/// The running thread makes an access that the compiler did not announce. `caller` is an address in its code.
void watch_access(const volatile void* at, size_t bytes, Access access, const void* caller);
/// The running thread starts to copy to shared memory; `global` is null if zeros are written.
void watch_copy(const void* shared, const void* global, size_t bytes, const void* caller);
/// The running thread has waited for that copy.
void watch_arrival(const void* shared, const void* global, size_t bytes, const void* caller);

/// These pages of the device have been freed.
void watch_freed(const void* pages, size_t bytes);

#else

class Unwatched {
 public:
  Unwatched() {}
};
inline void watch_shared_memory(const void*, size_t) {}
inline void watch_launch() {}
inline bool watch_wants(size_t, size_t) { return true; }
inline void watch_block(unsigned) {}
inline void watch_shared(const void*, size_t, const char*) {}
inline void watch_thread(unsigned, const void*, size_t) {}
inline void watch_scheduler() {}
inline void watch_barrier() {}
inline void watch_meeting(unsigned) {}
inline void watch_warp(unsigned, unsigned) {}
inline void watch_end() {}
inline void watch_access(const volatile void*, size_t, Access, const void*) {}
inline void watch_copy(const void*, const void*, size_t, const void*) {}
inline void watch_arrival(const void*, const void*, size_t, const void*) {}
inline void watch_freed(const void*, size_t) {}

#endif

}  // namespace rcnn::cuda_sim
