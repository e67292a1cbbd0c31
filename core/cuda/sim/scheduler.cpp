#include "core/cuda/sim/scheduler.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <numeric>

#include "core/cuda/cuda.h"
#include "core/cuda/sim/access_check.h"
#include "core/cuda/sim/memory.h"
#include "core/cuda/sim/simulation.h"
#include "core/cuda/sim/stack_switch.h"
#include "core/cuda/sim/threads.h"

namespace rcnn::cuda_sim {

BuiltIns built_ins;

Scheduler& scheduler() {
  static Scheduler* instance = new Scheduler;
  return *instance;
}

namespace {

using boost::context::detail::transfer_t;

constexpr size_t kStackBytes = 256 * 1024;

std::string fault_sentence;
uint64_t launch_count = 0;

std::string text(const uint3& v) { return fmt::format("({}, {}, {})", v.x, v.y, v.z); }

uint3 index_of(unsigned thread) {
  const dim3& size = built_ins.block_size;
  return {thread % size.x, thread / size.x % size.y, thread / (size.x * size.y)};
}

std::string order_text() {
  const Settings& s = settings();
  if (s.order == Order::ascending) return "ascending order";
  if (s.order == Order::descending) return "descending order";
  return fmt::format("order of seed {}", s.seed);
}

// ---- fibers -------------------------------------------------------------------------------------

void fiber_main(transfer_t from) {
  entered_stack();
  Scheduler& s = scheduler();
  s.self = from.fctx;
  for (;;) {
    try {
      s.launch->thread(s.launch->parameters.get());
    } catch (const std::exception& error) {
      const Unwatched unwatched;
      report_fault(error.what());
      s.failed = true;
    }
    s.running->state = State::done;
    to_scheduler();
  }
}

void restart(Fiber& fiber) {
  clear_stack(fiber.stack, kStackBytes);
  fiber.context = boost::context::detail::make_fcontext(fiber.stack + kStackBytes, kStackBytes, fiber_main);
}

Fiber* take_fiber() {
  Scheduler& s = scheduler();
  if (s.idle.empty()) {
    const size_t guard = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    void* memory = mmap(nullptr, kStackBytes + guard, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    mprotect(memory, guard, PROT_NONE);
    auto* fiber = new Fiber{static_cast<std::byte*>(memory) + guard, nullptr};
    restart(*fiber);
    s.all.push_back(fiber);
    s.idle.push_back(fiber);
  }
  Fiber* fiber = s.idle.back();
  s.idle.pop_back();
  return fiber;
}

/// Lets the thread run until it waits or ends.
void resume(Thread& thread) {
  Scheduler& s = scheduler();
  if (thread.state == State::fresh) thread.fiber = take_fiber();
  s.running = &thread;
  built_ins.thread_index = index_of(thread.index);
  watch_thread(thread.index, thread.fiber->stack, kStackBytes);
  leave_main_stack(thread.fiber->stack, kStackBytes);
  const transfer_t back = boost::context::detail::jump_fcontext(thread.fiber->context, nullptr);
  watch_scheduler();
  entered_main_stack();
  thread.fiber->context = back.fctx;
  s.running = nullptr;
  if (thread.state == State::done) s.idle.push_back(thread.fiber);
}

// ---- one block ----------------------------------------------------------------------------------

void block_fault(const std::string& sentence) {
  Scheduler& s = scheduler();
  report_fault(fmt::format("kernel {}, block {}: {} ({})", cuda::kernel_name(s.launch->signature),
                           text(built_ins.block_index), sentence, order_text()));
  s.failed = true;
}

/// Reports a thread that waits for lanes that never arrive.
void warp_fault(const Thread& waiting) {
  const Scheduler& s = scheduler();
  const unsigned first = waiting.index / 32 * 32;
  for (unsigned lane = 0; lane < 32; ++lane) {
    if ((waiting.mask >> lane & 1u) == 0) continue;
    const Thread& other = s.threads[first + lane];
    if (other.state != State::at_warp || other.site != waiting.site || other.mask != waiting.mask)
      return block_fault(
          fmt::format("divergent warp operation: {}, but {}", where_it_is(waiting), where_it_is(other)));
  }
}

/// Called when no thread can run: releases all threads from a barrier, or reports why that is impossible.
void release_barrier() {
  Scheduler& s = scheduler();
  const auto waits = [](const Thread& thread) { return thread.state != State::done; };
  const Thread& first = *std::find_if(s.threads.begin(), s.threads.end(), waits);
  if (first.state == State::at_warp) return warp_fault(first);
  int votes = 0;
  for (const Thread& thread : s.threads) {
    if (thread.state != State::at_barrier || thread.site != first.site)
      return block_fault(
          fmt::format("divergent barrier: {}, but {}", where_it_is(first), where_it_is(thread)));
    votes += thread.predicate ? 1 : 0;
  }
  const int all = votes == static_cast<int>(s.threads.size()) ? 1 : 0;
  for (Thread& thread : s.threads) {
    thread.state = State::ready;
    thread.barrier_result = thread.vote == Vote::count ? votes : thread.vote == Vote::all ? all : votes != 0;
  }
  watch_barrier();
}

/// Poisons the block's shared memory and the filling between its arrays.
void prepare_shared() {
  Scheduler& s = scheduler();
  std::memset(s.shared, poison(), s.static_bytes + kGap);
  std::memset(dynamic_begin(), poison(), static_cast<size_t>(s.dynamic_end - dynamic_begin()));
  if (s.launch->shared_bytes != 0) watch_shared(dynamic_begin(), s.launch->shared_bytes, nullptr);
  for (const SharedArray& array : s.arrays) watch_shared(s.shared + array.offset, array.bytes, array.name);
}

void check_gaps() {
  const Scheduler& s = scheduler();
  for (size_t i = 0; i < kGap && !s.arrays.empty(); ++i)
    if (s.shared[i] != std::byte{poison()})
      return block_fault(
          fmt::format("something wrote {} bytes before the shared array `{}`", kGap - i, s.arrays[0].name));
  for (const SharedArray& array : s.arrays) {
    const std::byte* gap = s.shared + array.offset + array.bytes;
    for (size_t i = 0; i < kGap; ++i)
      if (gap[i] != std::byte{poison()})
        return block_fault(fmt::format("something wrote {} bytes past the shared array `{}`, which has {}",
                                       i + 1, array.name, array.bytes));
  }
  for (const std::byte* at = dynamic_begin() + s.launch->shared_bytes; at < s.dynamic_end; ++at)
    if (*at != std::byte{poison()})
      return block_fault(
          fmt::format("something wrote past the {} bytes of dynamic shared memory", s.launch->shared_bytes));
}

void run_block() {
  Scheduler& s = scheduler();
  prepare_shared();
  for (Thread& thread : s.threads) {
    thread.state = State::fresh;
    thread.copies.clear();
    thread.copy_group = 0;
  }
  std::fill(s.arrived.begin(), s.arrived.end(), 0u);
  if (settings().order == Order::shuffled) std::shuffle(s.order.begin(), s.order.end(), s.random);
  size_t done = 0;
  while (done < s.threads.size()) {
    bool ran = false;
    for (const unsigned index : s.order) {
      Thread& thread = s.threads[index];
      if (thread.state != State::fresh && thread.state != State::ready) continue;
      resume(thread);
      if (s.failed) return;
      ran = true;
      done += thread.state == State::done ? 1 : 0;
    }
    if (!ran) release_barrier();
    if (s.failed) return;
  }
  check_gaps();
}

void map_shared() {
  Scheduler& s = scheduler();
  if (s.shared != nullptr) return;
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t room = (kSharedLimit + page - 1) / page * page;
  void* memory = mmap(nullptr, 2 * (room + page), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  s.shared = static_cast<std::byte*>(memory);
  s.dynamic_end = s.shared + room + page + room;
  mprotect(s.shared + room, page, PROT_NONE);
  mprotect(s.dynamic_end, page, PROT_NONE);
  watch_shared_memory(memory, 2 * (room + page));
}

std::vector<unsigned> in_order(size_t count, std::mt19937_64& random) {
  std::vector<unsigned> order(count);
  std::iota(order.begin(), order.end(), 0u);
  if (settings().order == Order::descending) std::reverse(order.begin(), order.end());
  if (settings().order == Order::shuffled) std::shuffle(order.begin(), order.end(), random);
  return order;
}

}  // namespace

void to_scheduler() {
  Scheduler& s = scheduler();
  leave_stack(main_stack());
  const transfer_t back = boost::context::detail::jump_fcontext(s.self, nullptr);
  entered_stack();
  s.self = back.fctx;
}

/// Dynamic shared memory ends at the closed page, except for rounding to its alignment.
std::byte* dynamic_begin() {
  const Scheduler& s = scheduler();
  return s.dynamic_end - (s.launch->shared_bytes + 127) / 128 * 128;
}

std::string where_it_is(const Thread& thread) {
  const std::string who = "thread " + text(index_of(thread.index));
  switch (thread.state) {
    case State::at_barrier:
      return fmt::format("{} waits at the barrier of {}", who, thread.site);
    case State::at_warp:
      return fmt::format("{} waits at {} for the lanes {:#010x}", who, thread.site, thread.mask);
    case State::done:
      return who + " has left the kernel";
    default:
      return who + " runs";
  }
}

namespace {

void print_list() {
  Listed sum;
  fmt::print(stderr, "{:>8} {:>10}  kernel\n", "launches", "blocks");
  for (const auto& [kernel, count] : listed()) {
    fmt::print(stderr, "{:>8} {:>10}  {}\n", count.launches, count.blocks, kernel);
    sum.launches += count.launches, sum.blocks += count.blocks;
  }
  fmt::print(stderr, "{:>8} {:>10}  in all\n", sum.launches, sum.blocks);
}

}  // namespace

Settings& settings() {
  static Settings instance = [] {
    Settings s;
    const char* text = std::getenv("RCNN_CUDA_SIM");
    for (std::string_view rest = text == nullptr ? "" : text; !rest.empty();) {
      const std::string_view word = rest.substr(0, rest.find(','));
      rest.remove_prefix(std::min(rest.size(), word.size() + 1));
      if (word == "eager") s.eager = true;
      if (word == "list") s.list = true;
      if (word == "ascending") s.order = Order::ascending;
      if (word == "descending") s.order = Order::descending;
      if (!word.empty() && word[0] >= '0' && word[0] <= '9')
        s.seed = std::strtoull(std::string(word).c_str(), nullptr, 10);
    }
    if (s.list) {
      listed();  // made before the handler is registered, so that it still exists when the handler runs
      std::atexit(print_list);
    }
    return s;
  }();
  return instance;
}

std::map<std::string, Listed>& listed() {
  static std::map<std::string, Listed> instance;
  return instance;
}

const std::string& fault() { return fault_sentence; }
void forget_fault() { fault_sentence.clear(); }
uint64_t launches() { return launch_count; }

void report_fault(const std::string& sentence) {
  if (fault_sentence.empty()) fault_sentence = sentence;
}

bool in_kernel() { return scheduler().running != nullptr; }

void fail(std::string sentence) {
  const Unwatched unwatched;
  Scheduler& s = scheduler();
  {
    const std::string own = std::move(sentence);  // freed with this scope, because the thread never ends
    report_fault(fmt::format("kernel {}, block {}, thread {}: {} ({})",
                             cuda::kernel_name(s.launch->signature), text(built_ins.block_index),
                             text(built_ins.thread_index), own, order_text()));
  }
  s.failed = true;
  to_scheduler();
  std::abort();  // not reached: a failed block's threads are never resumed
}

std::string refused(const Launch& launch) {
  const dim3 &g = launch.grid, &b = launch.block;
  const uint64_t threads = uint64_t{b.x} * b.y * b.z;
  if (threads == 0 || threads > 1024 || b.x > 1024 || b.y > 1024 || b.z > 64)
    return fmt::format("a block of ({}, {}, {}) threads; at most 1024, and 64 along z", b.x, b.y, b.z);
  if (g.x == 0 || g.y == 0 || g.z == 0 || g.x > 0x7FFFFFFFu || g.y > 65535 || g.z > 65535)
    return fmt::format("a grid of ({}, {}, {}) blocks; at most 65535 along y and z", g.x, g.y, g.z);
  if (launch.shared_bytes > kSharedLimit)
    return fmt::format("{} bytes of shared memory; at most {}", launch.shared_bytes, kSharedLimit);
  return "";
}

bool run_launch(const Launch& launch) {
  ++launch_count;
  if (settings().list) {
    const std::string name(cuda::kernel_name(launch.signature));
    const bool is_upload = name == "unpack_kernel";  // core/cuda/tensor.cu
    Listed& kernel = listed()[name];
    ++kernel.launches;
    kernel.blocks += uint64_t{launch.grid.x} * launch.grid.y * launch.grid.z;
    // An upload of a few bytes is a kernel too, and what it brings says how large an op's work is.
    if (!is_upload) return true;
  }
  Scheduler& s = scheduler();
  map_shared();
  install_access_handler();
  s.launch = &launch;
  s.failed = false;
  s.arrays.clear();
  s.static_bytes = s.declared_bytes = 0;
  s.random.seed(settings().seed * 1000003 + launch_count);
  built_ins.block_size = launch.block;
  built_ins.grid_size = launch.grid;
  const unsigned threads = launch.block.x * launch.block.y * launch.block.z;
  s.threads.resize(threads);
  for (unsigned i = 0; i < threads; ++i) s.threads[i].index = i;
  s.order = in_order(threads, s.random);
  s.arrived.assign((threads + 31) / 32, 0u);
  watch_launch();
  const dim3& grid = launch.grid;
  const size_t blocks = size_t{grid.x} * grid.y * grid.z;
  for (const unsigned block : in_order(blocks, s.random)) {
    if (!watch_wants(block, blocks)) continue;
    built_ins.block_index = {block % grid.x, block / grid.x % grid.y, block / (grid.x * grid.y)};
    watch_block(block);
    run_block();
    if (s.failed) break;
  }
  watch_end();
  if (s.failed) {  // the other threads are abandoned, and their stacks reset
    s.idle = s.all;
    for (Fiber* fiber : s.all) restart(*fiber);
    return false;
  }
  if (const std::string damage = damaged_filling(); !damage.empty()) {
    report_fault(fmt::format("kernel {}: it wrote {} ({})", cuda::kernel_name(launch.signature), damage,
                             order_text()));
    return false;
  }
  return true;
}

}  // namespace rcnn::cuda_sim
