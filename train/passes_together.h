// The passes of a step's batches, side by side: train --sync-bn.
//
// Batch normalisation with the statistics of a whole step needs all of its batches at every normalisation, in
// the forward pass and again in backward. The batches of a process run as threads, exactly one at a time: a
// batch works until it has made its row of the table (layers/batch_meeting.h), then the next one does. When
// all of them have come, the process exchanges rows with the others, and they go on, one after the other:
//
//     batch 0   conv |                      | norm conv |                       | norm ...
//     batch 1        | conv |               |           | norm conv |           |
//     process               | exchange rows |                       | exchange  |
//
// Threads are only a way to keep a batch's place in the model. What an op needs of its thread is the number
// of threads that compute, which each of them gets; everything else is in the context.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/world.h"
#include "layers/batch_meeting.h"

namespace rcnn {

class PassesTogether : public BatchMeeting {
 public:
  /// For steps of `batches` batches, of which each rank has its share.
  PassesTogether(Context& ctx, World& world, int64_t batches);
  ~PassesTogether() override;

  /// Runs pass(i) for each batch i of this rank's share, from 0, with the context's micro_batch set to the
  /// batch's number in the step. `enter(i)` is called whenever batch i begins or goes on. If a pass throws,
  /// the others are ended, and the exception is rethrown. Throws Error if the system does not start the
  /// threads, and if the batches do not meet at the same normalisations.
  void run(const std::function<void(int64_t)>& pass, const std::function<void(int64_t)>& enter);

  int64_t batches() const { return share_.of; }
  Tensor of_all(Context& ctx, const Tensor& mine) override;
  bool moves_statistics() const override { return current_ == 0; }

 private:
  struct Batch {
    std::thread thread;
    std::condition_variable has_turn;
    bool is_ready = false;    // the thread has its number of threads that compute
    bool is_running = false;  // its pass has begun and has not ended
    const char* layer = "";   // the context's, while others work
    Tensor mine;              // its row, while it waits
    std::exception_ptr failure;
  };

  void start_threads();
  void end_threads();
  void work(size_t index);
  void run_all();
  /// The process's own turn, beside those of its batches.
  static constexpr size_t kProcess = static_cast<size_t>(-1);
  void give_turn(size_t to);
  void await_turn(size_t of);
  /// Lets the batch work until it waits or ends.
  void resume(size_t index);
  /// Ends the batches that wait.
  void stop();
  Tensor exchange_rows();

  Context& ctx_;
  World& world_;
  Share share_;
  int threads_of_ops_;
  std::vector<std::unique_ptr<Batch>> batches_;  // of this rank
  size_t current_ = 0;                           // the one that works, or did last
  std::mutex mutex_;                             // of turn_
  size_t turn_ = kProcess;
  std::condition_variable process_has_turn_;
  const std::function<void(int64_t)>*pass_ = nullptr, *enter_ = nullptr;
  Tensor table_;  // (batches, n) of the last meeting
  bool stops_ = false, ends_ = false;
};

}  // namespace rcnn
