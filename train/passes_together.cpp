#include "train/passes_together.h"

#include <algorithm>
#include <system_error>

#include "core/parallel.h"
#include "train/step_record.h"

namespace rcnn {
namespace {

/// Ends a pass whose step has failed. No exception that a handler of errors would take for one.
struct Stopped {};

}  // namespace

PassesTogether::PassesTogether(Context& ctx, World& world, int64_t batches)
    : ctx_(ctx), world_(world), share_(world.share(batches)), threads_of_ops_(thread_count()) {
  for (int64_t i = 0; i < share_.count(); ++i) batches_.push_back(std::make_unique<Batch>());
}

PassesTogether::~PassesTogether() { end_threads(); }

void PassesTogether::start_threads() {
  if (batches_.front()->thread.joinable()) return;
  size_t started = 0;
  try {
    for (; started < batches_.size(); ++started)
      batches_[started]->thread = std::thread([this, started] { work(started); });
  } catch (const std::system_error& error) {
    end_threads();
    throw Error(fmt::format(
        "--sync-bn: each of the {} batches that this process has of a step runs in a thread of its own, and "
        "only {} could be started: {}; a lower --accumulate, or more processes, need fewer",
        batches_.size(), started, error.code().message()));
  }
}

void PassesTogether::end_threads() {
  ends_ = true;
  for (size_t i = 0; i < batches_.size(); ++i) {
    if (!batches_[i]->thread.joinable()) continue;
    give_turn(i);
    batches_[i]->thread.join();
  }
  ends_ = false;
  turn_ = kProcess;
}

void PassesTogether::give_turn(size_t to) {
  const std::lock_guard lock(mutex_);
  turn_ = to;
  (to == kProcess ? process_has_turn_ : batches_[to]->has_turn).notify_one();
}

void PassesTogether::await_turn(size_t of) {
  std::unique_lock lock(mutex_);
  (of == kProcess ? process_has_turn_ : batches_[of]->has_turn).wait(lock, [&] { return turn_ == of; });
}

void PassesTogether::work(size_t index) {
  Batch& batch = *batches_[index];
  for (;;) {
    await_turn(index);
    if (ends_) return;
    try {
      if (!batch.is_ready) {
        set_thread_count(threads_of_ops_);
        check(thread_count() == threads_of_ops_,
              "--sync-bn: each of the {} batches that this process has of a step needs {} threads to compute "
              "with, and batch {} got {}; lower OMP_NUM_THREADS or --accumulate",
              batches_.size(), threads_of_ops_, index, thread_count());
        batch.is_ready = true;
      }
      (*pass_)(static_cast<int64_t>(index));
    } catch (const Stopped&) {  // the failure is another batch's
    } catch (...) {
      batch.failure = std::current_exception();
    }
    batch.is_running = false;
    give_turn(kProcess);
  }
}

void PassesTogether::run(const std::function<void(int64_t)>& pass,
                         const std::function<void(int64_t)>& enter) {
  const MeetingScope scope(ctx_, *this);
  pass_ = &pass;
  enter_ = &enter;
  const auto forget = [&, micro_batch = ctx_.micro_batch, layer = ctx_.layer] {
    ctx_.micro_batch = micro_batch;
    ctx_.layer = layer;
    pass_ = enter_ = nullptr;
    table_ = Tensor();
    for (const auto& batch : batches_) batch->mine = Tensor(), batch->layer = "", batch->failure = nullptr;
  };
  try {
    run_all();
  } catch (...) {
    stop();
    forget();
    throw;
  }
  forget();
}

void PassesTogether::run_all() {
  if (batches_.size() == 1) {  // meets the batches of other processes only, which needs no thread
    current_ = 0;
    ctx_.micro_batch = static_cast<uint32_t>(share_.begin);
    (*enter_)(0);
    return (*pass_)(0);
  }
  start_threads();
  for (const auto& batch : batches_) batch->is_running = true;
  for (;;) {
    for (size_t i = 0; i < batches_.size(); ++i) {
      resume(i);
      if (batches_[i]->failure) std::rethrow_exception(batches_[i]->failure);
    }
    const auto waiting =
        std::count_if(batches_.begin(), batches_.end(), [](const auto& batch) { return batch->is_running; });
    if (waiting == 0) return;
    check(waiting == std::ssize(batches_),
          "--sync-bn: {} of {} batches wait at a normalisation that the others do not have", waiting,
          batches_.size());
    table_ = exchange_rows();
  }
}

void PassesTogether::resume(size_t index) {
  Batch& batch = *batches_[index];
  current_ = index;
  ctx_.micro_batch = static_cast<uint32_t>(share_.begin + static_cast<int64_t>(index));
  ctx_.layer = batch.layer;
  (*enter_)(static_cast<int64_t>(index));
  give_turn(index);
  await_turn(kProcess);
  batch.layer = ctx_.layer;
}

void PassesTogether::stop() {
  stops_ = true;
  for (size_t i = 0; i < batches_.size(); ++i) {
    Batch& batch = *batches_[i];
    // A batch that waits has a row; one that has not begun has none.
    if (batch.is_running && batch.mine.defined() && batch.thread.joinable()) resume(i);
    batch.is_running = false;
  }
  stops_ = false;
}

Tensor PassesTogether::of_all(Context&, const Tensor& mine) {
  check(pass_ != nullptr, "--sync-bn: a batch comes to a normalisation when its pass has ended");
  const size_t me = current_;
  Batch& batch = *batches_[me];
  batch.mine = mine;
  if (batches_.size() == 1) return exchange_rows();
  give_turn(kProcess);
  await_turn(me);
  batch.mine = Tensor();
  if (stops_) throw Stopped{};
  return table_;
}

Tensor PassesTogether::exchange_rows() {
  const int64_t size = batches_.front()->mine.numel();
  std::vector<Tensor> rows;
  for (const auto& batch : batches_) {
    check(batch->mine.numel() == size,
          "--sync-bn: batch {} waits at a normalisation of {} numbers, and batch {} at one of {}",
          share_.begin, size, share_.begin + std::ssize(rows), batch->mine.numel());
    rows.push_back(batch->mine);
  }
  return rows_of_all_ranks(world_, rows, share_.of);
}

}  // namespace rcnn
