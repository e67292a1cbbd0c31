// All threading of CPU ops goes through these functions.
//
// Work is cut into chunks whose borders depend only on the size of the problem, never on the number of
// threads. There is one partial sum per chunk, and they are combined in chunk order, so a result has the same
// bits on 1 or 64 threads.
#pragma once

#include <cstdint>
#include <functional>

namespace rcnn {

/// The number of threads that CPU ops, ours and oneDNN's, may use: as many as asked for and granted.
int thread_count();

/// The number that the next op uses of them: fewer while other programs want the same processors
/// (core/crowding.h). Results do not depend on it.
int threads_at_work();

/// For tests: while this lives, ops of this thread use that many threads, if they may have more.
class FewerThreads {
 public:
  explicit FewerThreads(int threads);
  ~FewerThreads();
  FewerThreads(const FewerThreads&) = delete;
  FewerThreads& operator=(const FewerThreads&) = delete;
};

/// Runs `body` with `threads` as the number of threads of a library whose regions it begins, oneDNN.
void with_threads(int threads, const std::function<void()>& body);

/// Calls `body`, which must not throw, once on each thread that ops of the calling thread may use, itself
/// included.
void on_every_thread(const std::function<void()>& body);

/// Asks for this many threads or, with 0, for OMP_NUM_THREADS, or else one for each processor that this
/// process may run on and whose time it may use (core/processors.h). Takes as many as the system starts
/// (limits of processes and memory) and the OpenMP runtime grants (OMP_THREAD_LIMIT). Call it on the thread
/// that runs the ops, before the first of them: oneDNN waits for ever for a thread that is not granted.
void set_thread_count(int wanted);

/// Calls `body(chunk)` once for each chunk in [0, chunks), on any thread, in any order: for chunks of many
/// small elements that the caller cuts, or for single elements with much work each. Returns when all are
/// done. If bodies throw, the exception of the lowest chunk is rethrown. Must not be nested.
void parallel_chunks(int64_t chunks, const std::function<void(int64_t chunk)>& body);

/// Calls `body(begin, end)` for consecutive ranges of at most `grain` that cover [0, n).
void parallel_for(int64_t n, int64_t grain, const std::function<void(int64_t begin, int64_t end)>& body);

/// Calls `body(i)` for each i in [0, n), in ranges of at most `grain`.
template <class Body>
void parallel_each(int64_t n, int64_t grain, const Body& body) {
  parallel_for(n, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) body(i);
  });
}

}  // namespace rcnn
