#include "core/cuda/sim/access_count.h"

#include "core/error.h"

#if defined(RCNN_RACE_CHECK)

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <map>
#include <memory>
#include <tuple>
#include <unordered_map>

#include "core/cuda/cuda.h"
#include "core/cuda/sim/access_cost.h"
#include "core/cuda/sim/access_counting.h"
#include "core/cuda/sim/access_shadow.h"
#include "core/cuda/sim/memory.h"
#include "core/cuda/sim/simulation.h"
#include "core/cuda/sim/source_lines.h"
#include "core/cuda/sim/threads.h"

namespace rcnn::cuda_sim {
namespace {

constexpr size_t kMaxEvents = size_t{1} << 25;  // that wait to be put side by side: 512 MiB

constexpr int kMeeting = 4;  // after the kinds of accesses: a warp operation

/// What a thread did next.
struct Event {
  uintptr_t at;    // the address; of a meeting, the mask of the lanes
  uint32_t line;   // position in the program's code
  uint16_t depth;  // of the call
  uint8_t bytes;
  uint8_t what;  // the kind << 1 | whether the memory is shared

  int kind() const { return what >> 1; }
  bool shared() const { return (what & 1) != 0; }
};

/// The position, the size and the kind, and with the position the same for all lanes of a request.
uint64_t key_of(const Event& e) { return uint64_t{e.line} << 16 | uint64_t{e.bytes} << 8 | uint64_t{e.what}; }

struct Events {
  std::vector<Event> list;
  size_t next = 0;
  uint16_t depth = 0;

  bool over() const { return next == list.size(); }
  const Event& front() const { return list[next]; }
};

/// A set of bytes of the device's memory.
class ByteSet {
 public:
  /// Adds the bytes of a span; returns how many are new.
  uint64_t add(Span span) {
    uint64_t fresh = 0;
    for (uintptr_t word = span.begin / 64; word * 64 < span.end; ++word) {
      const uintptr_t begin = std::max(span.begin, word * 64) % 64;
      const uintptr_t end = std::min(span.end, word * 64 + 64) - word * 64;
      const uint64_t wanted =
          (end == 64 ? ~uint64_t{0} : (uint64_t{1} << end) - 1) & ~((uint64_t{1} << begin) - 1);
      uint64_t& bits = words_[word];
      fresh += static_cast<uint64_t>(std::popcount(wanted & ~bits));
      bits |= wanted;
    }
    return fresh;
  }
  void clear() { words_.clear(); }

 private:
  std::unordered_map<uintptr_t, uint64_t> words_;
};

struct Counting {
  uint64_t limit = 0;  // of blocks of a launch; 0: none
  std::vector<LaunchCount> launches;

  // Of the launch.
  std::unordered_map<uint64_t, AccessCount> lines;  // by position, kind and memory
  ByteSet read_by_all, read_by_block;
  bool running = false;

  // Of the block.
  std::vector<Events> threads;
  Events* current = nullptr;
  size_t events = 0;  // of all threads
};
Counting* count = nullptr;

void push(const Event& event) {
  if (++count->events > kMaxEvents) {
    const Unwatched unwatched;
    fail(fmt::format(
        "the threads of a block make more than {} accesses between two barriers, too many to be counted: "
        "choose a smaller case",
        kMaxEvents));
  }
  count->current->list.push_back(event);
}

void push(uintptr_t at, size_t bytes, AccessKind kind, bool shared, uint32_t line) {
  // A struct goes in the largest vectors that its size is a multiple of: the same for all lanes.
  size_t part = 16;
  while (bytes % part != 0 || at % part != 0) part /= 2;
  while (bytes > 0) {
    push(Event{at, line, count->current->depth, static_cast<uint8_t>(part),
               static_cast<uint8_t>(static_cast<int>(kind) << 1 | (shared ? 1 : 0))});
    at += part;
    bytes -= part;
  }
}

// ---- requests -----------------------------------------------------------------------------------

void add_request(const Event& first, const Request& r, unsigned places) {
  Counting& c = *count;
  const auto kind = static_cast<AccessKind>(first.kind());
  const bool shared = first.shared();
  AccessCount& sum = c.lines[key_of(first)];
  const int64_t stride = stride_of(r);
  if (sum.requests == 0) {
    sum.kind = kind;
    sum.shared = shared;
    sum.bytes = r.bytes;
    sum.stride = stride;
  }
  if (sum.stride != stride) sum.stride = 0;
  ++sum.requests;
  sum.lanes += static_cast<uint64_t>(r.count);
  sum.places += places;
  if (kind == AccessKind::atomic) {
    sum.turns += atomic_turns(r, shared);
    ++sum.min_turns;
  }
  if (shared) {
    if (kind != AccessKind::atomic) bank_turns(r, sum.turns, sum.min_turns);
    return;
  }
  Span spans[32];
  const int pieces = spans_of(r, spans);
  uint64_t moved = 0;
  for (int i = 0; i < pieces; ++i) moved += spans[i].end - spans[i].begin;
  sum.sectors += sectors_of(spans, pieces);
  sum.min_sectors += (moved + kSector - 1) / kSector;
  sum.moved += moved;
  if (kind != AccessKind::read && kind != AccessKind::copy) return;
  LaunchCount& launch = c.launches.back();
  uint64_t fresh = 0;
  for (int i = 0; i < pieces; ++i) {
    fresh += c.read_by_block.add(spans[i]);
    launch.read_all += c.read_by_all.add(spans[i]);
  }
  launch.read += moved;
  launch.read_block += fresh;
  sum.again += moved - fresh;
}

/// Which of a warp's next events goes first: the smallest.
uint64_t turn_of(const Event& e) { return (uint64_t{UINT16_MAX} - e.depth) << 48 | key_of(e); }

/// Ends a meeting for which all its lanes wait; false if there is none. `waiting` are the lanes at meetings,
/// `left` all that have not come to their end.
bool end_meeting(Events* lanes, uint32_t waiting, uint32_t left) {
  for (uint32_t rest = waiting; rest != 0; rest &= rest - 1) {
    const auto mask = static_cast<uint32_t>(lanes[std::countr_zero(rest)].front().at);
    uint32_t there = 0;
    for (uint32_t w = waiting; w != 0; w &= w - 1)
      if (lanes[std::countr_zero(w)].front().at == mask) there |= 1u << std::countr_zero(w);
    if ((mask & left & ~there) != 0) continue;
    for (; there != 0; there &= there - 1) ++lanes[std::countr_zero(there)].next;
    return true;
  }
  return false;
}

/// Puts the accesses of a warp's threads side by side, as access_count.h says.
void merge_warp(Events* lanes, unsigned size) {
  for (;;) {
    uint64_t best = UINT64_MAX;
    uint32_t together = 0, waiting = 0, left = 0;
    for (unsigned l = 0; l < size; ++l) {
      if (lanes[l].over()) continue;
      left |= 1u << l;
      const Event& e = lanes[l].front();
      if (e.kind() == kMeeting) {
        waiting |= 1u << l;
        continue;
      }
      const uint64_t turn = turn_of(e);
      if (turn < best) best = turn, together = 0;
      if (turn == best) together |= 1u << l;
    }
    if (left == 0) return;
    if (waiting != 0 && end_meeting(lanes, waiting, left)) continue;
    check(together != 0, "lanes wait for each other, although the simulation went on");
    const Event first = lanes[std::countr_zero(together)].front();
    Request r;
    r.bytes = first.bytes;
    for (; together != 0; together &= together - 1) {
      const auto l = static_cast<unsigned>(std::countr_zero(together));
      r.at[r.count] = lanes[l].front().at;
      r.lane[r.count++] = l;
      ++lanes[l].next;
    }
    add_request(first, r, size);
  }
}

void merge_block() {
  std::vector<Events>& threads = count->threads;
  for (size_t first = 0; first < threads.size(); first += 32)
    merge_warp(&threads[first], static_cast<unsigned>(std::min<size_t>(32, threads.size() - first)));
  for (Events& thread : threads) {
    thread.list.clear();
    thread.next = 0;
  }
  count->events = 0;
}

// ---- results ------------------------------------------------------------------------------------

/// Adds up what came from the same line, apart for different strides.
void name_lines(LaunchCount& launch) {
  std::vector<uint32_t> positions;
  std::vector<const AccessCount*> counts;
  for (const auto& [key, sum] : count->lines) {
    positions.push_back(static_cast<uint32_t>(key >> 16));
    counts.push_back(&sum);
  }
  const std::vector<SourceLine> lines = source_lines(positions);
  using Key = std::tuple<std::string, std::string, AccessKind, bool, int, int64_t>;
  std::map<Key, AccessCount> by_line;
  for (size_t i = 0; i < counts.size(); ++i) {
    const AccessCount& one = *counts[i];
    AccessCount& sum =
        by_line[{lines[i].place, lines[i].caller, one.kind, one.shared, one.bytes, one.stride}];
    sum.place = lines[i].place;
    sum.caller = lines[i].caller;
    sum.kind = one.kind;
    sum.shared = one.shared;
    sum.bytes = one.bytes;
    sum.stride = one.stride;
    for (const auto member : {&AccessCount::requests, &AccessCount::lanes, &AccessCount::places,
                              &AccessCount::sectors, &AccessCount::min_sectors, &AccessCount::moved,
                              &AccessCount::again, &AccessCount::turns, &AccessCount::min_turns})
      sum.*member += one.*member;
  }
  for (auto& [key, sum] : by_line) launch.accesses.push_back(std::move(sum));
  const auto cost = [](const AccessCount& a) { return a.shared ? a.turns * 4 : a.sectors; };
  std::ranges::stable_sort(launch.accesses, [&](const auto& a, const auto& b) { return cost(a) > cost(b); });
}

}  // namespace

void count_launch() {
  const Launch& launch = *scheduler().launch;
  LaunchCount& now = count->launches.emplace_back();
  now.kernel = cuda::kernel_name(launch.signature);
  const dim3 sizes[] = {launch.grid, launch.block};
  for (int i = 0; i < 2; ++i) {
    unsigned(&to)[3] = i == 0 ? now.grid : now.block;
    to[0] = sizes[i].x, to[1] = sizes[i].y, to[2] = sizes[i].z;
  }
  count->threads.assign(size_t{now.block[0]} * now.block[1] * now.block[2], {});
  count->lines.clear();
  count->read_by_all.clear();
  count->running = true;
}

bool count_wants(size_t block, size_t blocks) {
  const uint64_t limit = count->limit;
  if (limit == 0 || blocks <= limit) return true;
  if (limit == 1) return block == 0;
  // Number i of `limit` is the block i (blocks - 1) / (limit - 1), so the first and the last are among them.
  const uint64_t i = (block * (limit - 1) + blocks - 2) / (blocks - 1);
  return i * (blocks - 1) / (limit - 1) == block;
}

void count_block() {
  merge_block();  // the block before
  for (Events& thread : count->threads) thread.depth = 0;
  count->read_by_block.clear();
  ++count->launches.back().counted;
}

void count_thread(unsigned thread) { count->current = &count->threads[thread]; }

void count_call(int change) { count->current->depth = static_cast<uint16_t>(count->current->depth + change); }

void count_access(uintptr_t at, size_t bytes, Access access, uint32_t line) {
  const auto kind = static_cast<AccessKind>(access);
  if (at - watch.device.begin < watch.device.size)
    push(at, bytes, kind, false, line);
  else if (at - watch.shared.begin < watch.shared.size)
    push(at, bytes, kind, true, line);
}

void count_copy(const void* shared, const void* global, size_t bytes, uint32_t line) {
  if (global != nullptr) push(reinterpret_cast<uintptr_t>(global), bytes, AccessKind::copy, false, line);
  push(reinterpret_cast<uintptr_t>(shared), bytes, AccessKind::copy, true, line);
}

void count_meeting(unsigned mask) { push({mask, 0, 0, 0, kMeeting << 1}); }

void count_barrier() {
  ++count->launches.back().barriers;
  merge_block();
}

void count_end() {
  if (!count->running) return;
  count->running = false;
  merge_block();
  LaunchCount& launch = count->launches.back();
  launch.shared = scheduler().launch->shared_bytes + scheduler().declared_bytes;
  name_lines(launch);
}

bool can_count_accesses() { return true; }

AccessCounter::AccessCounter(uint64_t blocks) {
  check(count == nullptr, "accesses are being counted already");
  count = new Counting;
  count->limit = blocks;
  counting = true;
}

AccessCounter::~AccessCounter() {
  counting = false;
  delete count;
  count = nullptr;
}

std::vector<LaunchCount> AccessCounter::launches() const { return count->launches; }

}  // namespace rcnn::cuda_sim

#else

namespace rcnn::cuda_sim {

bool can_count_accesses() { return false; }
AccessCounter::AccessCounter(uint64_t) { throw Error("this build cannot count accesses"); }
AccessCounter::~AccessCounter() = default;
std::vector<LaunchCount> AccessCounter::launches() const { return {}; }

}  // namespace rcnn::cuda_sim

#endif
