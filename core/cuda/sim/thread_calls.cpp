// The functions that kernels call: barriers, warp operations, shared memory and cp.async.
#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "core/cuda/cuda.h"
#include "core/cuda/sim/access_check.h"
#include "core/cuda/sim/memory.h"
#include "core/cuda/sim/simulation.h"
#include "core/cuda/sim/threads.h"

namespace rcnn::cuda_sim {

int block_barrier(const char* site, Vote vote, bool predicate) {
  const Unwatched unwatched;
  Thread& me = *scheduler().running;
  me.site = site;
  me.vote = vote;
  me.predicate = predicate;
  me.state = State::at_barrier;
  to_scheduler();
  return me.barrier_result;
}

unsigned lane() { return scheduler().running->index % 32; }

void warp_wait(const char* site, unsigned mask, const void* operand, void* result,
               void (*resolve)(const WarpExchange&)) {
  const Unwatched unwatched;
  Scheduler& s = scheduler();
  Thread& me = *s.running;
  const unsigned warp = me.index / 32, first = warp * 32;
  const auto lanes = static_cast<unsigned>(s.threads.size()) - first;
  if (lanes < 32) mask &= (1u << lanes) - 1;  // a block's last warp may be partial
  if ((mask >> (me.index - first) & 1u) == 0)
    fail(fmt::format("at {} it is not among the lanes {:#010x} that it waits for", site, mask));
  watch_meeting(mask);
  me.site = site;
  me.mask = mask;
  me.operand = operand;
  me.result = result;
  me.state = State::at_warp;
  unsigned& arrived = s.arrived[warp];
  arrived |= 1u << (me.index - first);
  bool complete = (arrived & mask) == mask;
  for (unsigned l = 0; l < 32 && complete; ++l)  // some may still wait for other lanes first
    complete = (mask >> l & 1u) == 0 || s.threads[first + l].mask == mask;
  if (!complete) return to_scheduler();
  WarpExchange exchange{{}, {}, mask};
  for (unsigned l = 0; l < 32; ++l) {
    if ((mask >> l & 1u) == 0) continue;
    Thread& other = s.threads[first + l];
    if (other.site != site) {
      std::string sentence =
          fmt::format("divergent warp operation: it is at {} for the lanes {:#010x}, but {}", site, mask,
                      where_it_is(other));
      fail(std::move(sentence));
    }
    exchange.operands[l] = other.operand;
    exchange.results[l] = other.result;
    other.state = State::ready;
  }
  arrived &= ~mask;
  resolve(exchange);
}

void sync_warp(const char* site, unsigned mask) {
  warp_wait(site, mask, nullptr, nullptr,
            [](const WarpExchange& e) { watch_warp(scheduler().running->index / 32, e.mask); });
}

void resolve_shuffle(const WarpExchange& exchange) {
  for (unsigned l = 0; l < 32; ++l) {
    if (exchange.results[l] == nullptr) continue;
    const unsigned source = static_cast<const ShuffleOperand*>(exchange.operands[l])->source;
    const void* from = exchange.operands[source];
    if (from == nullptr)
      std::memset(exchange.results[l], poison(), 8);  // that lane takes no part: the result is undefined
    else
      std::memcpy(exchange.results[l], static_cast<const ShuffleOperand*>(from)->bytes, 8);
  }
}

unsigned ballot(const char* site, unsigned mask, bool predicate) {
  unsigned votes = 0;
  warp_wait(site, mask, &predicate, &votes, [](const WarpExchange& e) {
    unsigned all = 0;
    for (unsigned l = 0; l < 32; ++l)
      if (e.operands[l] != nullptr && *static_cast<const bool*>(e.operands[l])) all |= 1u << l;
    for (void* result : e.results)
      if (result != nullptr) *static_cast<unsigned*>(result) = all;
  });
  return votes;
}

void trap(const char* site) {
  const Unwatched unwatched;
  fail(fmt::format("__trap at {}", site));
}

void* shared_array(const void* declaration, size_t bytes, const char* name) {
  const Unwatched unwatched;
  Scheduler& s = scheduler();
  for (const SharedArray& array : s.arrays)
    if (array.declaration == declaration) return s.shared + array.offset;
  s.declared_bytes += bytes;
  if (s.declared_bytes > kDeclaredLimit || s.declared_bytes + s.launch->shared_bytes > kSharedLimit)
    fail(
        fmt::format("the shared array `{}` of {} bytes does not fit: a block has {} bytes of declared and {} "
                    "bytes of total shared memory",
                    name, bytes, kDeclaredLimit, kSharedLimit));
  if (s.launch->shared_bytes <= cuda::kSmallDynamicShared &&
      s.declared_bytes + s.launch->shared_bytes > kDeclaredLimit)
    fail(fmt::format("{} bytes of declared and {} of dynamic shared memory exceed {} together",
                     s.declared_bytes, s.launch->shared_bytes, kDeclaredLimit));
  const size_t offset = s.static_bytes + kGap;
  const size_t end = offset + (bytes + 15) / 16 * 16;
  s.arrays.push_back({declaration, offset, bytes, name});
  std::memset(s.shared + offset - kGap, poison(), end + kGap - (offset - kGap));
  s.static_bytes = end;
  watch_shared(s.shared + offset, bytes, name);
  return s.shared + offset;
}

void* dynamic_shared_memory() { return dynamic_begin(); }

void note_atomic(const volatile void* address, size_t bytes, const void* caller) {
  const Unwatched unwatched;
  watch_access(address, bytes, Access::atomic, caller);
}

// ---- cp.async -----------------------------------------------------------------------------------

namespace {

void arrive(const Copy& copy) {
  if (copy.global != nullptr)
    std::memcpy(copy.shared, copy.global, copy.bytes);
  else
    std::memset(copy.shared, 0, copy.bytes);
}

}  // namespace

void cp_async(void* shared, const void* global, int size, bool valid) {
  const Unwatched unwatched;
  Scheduler& s = scheduler();
  const auto bytes = static_cast<size_t>(size);
  const auto misaligned = [bytes](const void* p) { return reinterpret_cast<uintptr_t>(p) % bytes != 0; };
  if (misaligned(shared) || (valid && misaligned(global)))
    fail(fmt::format("a cp.async of {} bytes from {} to {}: both have to be aligned to its size", bytes,
                     global, shared));
  Copy copy{shared, valid ? global : nullptr,   bytes, s.running->copy_group,
            false,  __builtin_return_address(0)};
  watch_copy(copy.shared, copy.global, copy.bytes, copy.caller);
  // The data may arrive at any time until it is waited for: here at once in descending order, and as late as
  // possible in ascending order.
  const Order order = settings().order;
  copy.arrived = order == Order::descending || (order == Order::shuffled && s.random() % 2 == 0);
  if (copy.arrived) arrive(copy);
  s.running->copies.push_back(copy);
}

void cp_async_commit() { ++scheduler().running->copy_group; }

void cp_async_wait_group(int pending) {
  const Unwatched unwatched;
  Thread& me = *scheduler().running;
  const int arrived = me.copy_group - pending;  // groups before this one
  size_t kept = 0;
  for (const Copy& copy : me.copies) {
    if (copy.group >= arrived) {
      me.copies[kept++] = copy;
      continue;
    }
    watch_arrival(copy.shared, copy.global, copy.bytes, copy.caller);
    if (!copy.arrived) arrive(copy);
  }
  me.copies.resize(kept);
}

}  // namespace rcnn::cuda_sim
