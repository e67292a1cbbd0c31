// The race check: the events that the scheduler reports, and the accesses that the fast path cannot decide.
#if defined(RCNN_RACE_CHECK)

#include "core/cuda/sim/access_check.h"

#include <link.h>
#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

#include "core/cuda/sim/access_counting.h"
#include "core/cuda/sim/access_shadow.h"
#include "core/error.h"

namespace rcnn::cuda_sim {

constinit thread_local bool watching = false;
constinit bool counting = false;
Watch watch;

namespace {

constexpr uint32_t kPeriodLimit = 1u << 24;

/// An array of zeros that takes memory only where it is touched.
template <class T>
T* reserve(size_t count) {
  void* memory = mmap(nullptr, count * sizeof(T), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  return static_cast<T*>(memory);
}

Space make_space(const void* begin, size_t bytes) {
  return {.begin = reinterpret_cast<uintptr_t>(begin),
          .size = bytes,
          .words = reserve<Cell>(bytes / 4),
          .bytes = reserve<Cell>(bytes),
          .word_atomics = reserve<Record>(bytes / 4),
          .byte_atomics = reserve<Record>(bytes)};
}

/// Finds the part of the address space that the program's own segments take.
void find_program() {
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void*) {  // the first one is the program
        uintptr_t begin = UINTPTR_MAX, end = 0;
        for (int i = 0; i < info->dlpi_phnum; ++i) {
          const auto& segment = info->dlpi_phdr[i];
          if (segment.p_type != PT_LOAD) continue;
          begin = std::min(begin, info->dlpi_addr + segment.p_vaddr);
          end = std::max(end, info->dlpi_addr + segment.p_vaddr + segment.p_memsz);
        }
        watch.program = begin;
        watch.program_bytes = end - begin;
        return 1;
      },
      nullptr);
}

/// The number of the barrier or __syncwarp that happens now.
uint32_t next_number() {
  check(++watch.number < kPeriodLimit, "the race check counts at most {} barriers in a block", kPeriodLimit);
  return watch.number;
}

unsigned warp_of(uint32_t when) { return (when & kWarpBits) >> 3; }

/// Whether all accesses of a record are ordered before the running thread. The record's run must count.
bool before(const Record& r) {
  if (r.run != watch.run) return false;
  if (r.when < watch.barrier) return true;
  if ((r.when & kWarps) != 0) return false;
  return unordered_lane(r) < 0;
}

uint32_t lanes_of(const Record& r) {
  return (r.when & kPeriods) != 0 ? watch.lane_periods[r.lanes].lanes : r.lanes;
}

uint32_t period_of(const Record& r, unsigned lane) {
  return (r.when & kPeriods) != 0 ? watch.lane_periods[r.lanes].period[lane] : r.when >> 8;
}

bool holds_poison(size_t offset, size_t size) {
  const auto* data = reinterpret_cast<const unsigned char*>(watch.shared.begin + offset);
  return std::all_of(data, data + size, [](unsigned char byte) { return byte == poison(); });
}

Cell& cell_at(Space& s, size_t offset) {
  Cell& word = s.words[offset / 4];
  return is_split(s, word) ? s.bytes[offset] : word;
}

}  // namespace

int unordered_lane(const Record& r) {
  const unsigned warp = warp_of(r.when);
  const bool same_warp = warp == warp_of(watch.when);
  const uint32_t others = same_warp ? lanes_of(r) & ~watch.lane : lanes_of(r);
  const uint32_t* known = watch.known[warp][std::countr_zero(watch.lane)];
  for (uint32_t left = others; left != 0; left &= left - 1) {
    const auto lane = static_cast<unsigned>(std::countr_zero(left));
    if (!same_warp || period_of(r, lane) >= known[lane]) return static_cast<int>(lane);
  }
  return -1;
}

void join(Record& r, uint32_t line) {
  if ((r.when & kWarps) != 0) return;
  const uint32_t other_lines = r.line != line ? kOtherLines : 0;
  if (warp_of(r.when) != warp_of(watch.when)) {
    const auto thread = [](uint32_t when, uint32_t lanes) {
      return warp_of(when) * 32 + static_cast<uint32_t>(std::countr_zero(lanes));
    };
    const uint32_t other = thread(r.when, lanes_of(r));
    r.lanes = other | thread(watch.when, watch.lane) << 16;
    r.when = (r.when & ~kPeriods) | kWarps | other_lines;
    return;
  }
  if (unordered_lane(r) < 0) {
    r = own_record(line);
    return;
  }
  if ((r.when & kPeriods) == 0) {
    LanePeriods lanes{r.lanes, {}};
    for (uint32_t left = r.lanes; left != 0; left &= left - 1)
      lanes.period[std::countr_zero(left)] = r.when >> 8;
    r.lanes = static_cast<uint32_t>(watch.lane_periods.size());
    watch.lane_periods.push_back(lanes);
  }
  LanePeriods& lanes = watch.lane_periods[r.lanes];
  lanes.lanes |= watch.lane;
  lanes.period[std::countr_zero(watch.lane)] = watch.when >> 8;
  r.when |= kPeriods | other_lines;
}

void check_cell(Space& s, Cell& cell, Record& atomics, size_t offset, size_t size, Access access,
                uint32_t line) {
  Record& w = cell.write;
  const bool written = w.run >= s.oldest;
  if (written && (w.when & kPending) != 0) report_pending(offset, w, access, line);
  if (written && !before(w)) report_race(s, offset, w, Access::write, access, line);
  if (access != Access::atomic && atomics.run >= s.oldest && !before(atomics))
    report_race(s, offset, atomics, Access::atomic, access, line);
  if (access != Access::read && cell.reads.run >= s.oldest && !before(cell.reads))
    report_race(s, offset, cell.reads, Access::read, access, line);
  // Writes that the compiler does not announce (memcpy of many bytes) show in the bytes themselves.
  if (access != Access::write && &s == &watch.shared && !written && atomics.run < s.oldest &&
      holds_poison(offset, size))
    report_unwritten(offset, line);
  if (access == Access::read) enter(cell.reads, s.oldest, line);
  if (access == Access::write) w = own_record(line);
  if (access == Access::atomic) {
    watch.atomics = true;
    enter(atomics, s.oldest, line);
  }
}

void split_word(Space& s, size_t word) {
  Cell& cell = s.words[word];
  for (size_t byte = word * 4; byte < word * 4 + 4; ++byte) {
    s.bytes[byte] = cell;
    if (watch.atomics) s.byte_atomics[byte] = s.word_atomics[word];
  }
  cell.write = {watch.run, kSplit, 0, 0};
}

void find_array(uintptr_t at, size_t bytes, Access access, uint32_t line) {
  for (const SharedRange& array : watch.arrays) {
    if (at < array.begin || at + bytes > array.end) continue;
    watch.array[at / 256 % 64] = {array.begin, array.end};
    return;
  }
  report_outside(at, bytes, access, line);
}

void find_allocation(uintptr_t at, size_t bytes, Access access, uint32_t line) {
  DeviceRange& range = watch.allocations[at / 4096 % 256];
  range = allocation_at(reinterpret_cast<const void*>(at));
  if (at < range.begin || at + bytes > range.end) report_outside(at, bytes, access, line);
}

void check_elsewhere(uintptr_t at, size_t bytes, Access access, uint32_t line) {
  const bool constant = at - watch.program < watch.program_bytes && access == Access::read;
  if (!constant) report_outside(at, bytes, access, line);
}

// ---- events that the scheduler reports ----------------------------------------------------------

void watch_shared_memory(const void* begin, size_t bytes) { watch.shared = make_space(begin, bytes); }

void watch_launch() {
  if (counting) count_launch();
  if (watch.device.size == 0) {
    const DeviceRange arena = device_arena();
    watch.device = make_space(reinterpret_cast<const void*>(arena.begin), arena.end - arena.begin);
    find_program();
  }
  watch.first_run = watch.device.oldest = watch.run + 1;
  watch.atomics = false;
  watch.blocks.clear();
  std::fill(std::begin(watch.allocations), std::end(watch.allocations), DeviceRange{});
}

bool watch_wants(size_t block, size_t blocks) { return !counting || count_wants(block, blocks); }

void watch_block(unsigned block) {
  if (counting) count_block();
  ++watch.run;
  watch.blocks.push_back(block);
  watch.shared.oldest = watch.run;
  watch.arrays.clear();
  std::fill(std::begin(watch.array), std::end(watch.array), DeviceRange{});
  watch.lane_periods.clear();
  watch.number = watch.barrier = 0;
  std::memset(watch.period, 0, sizeof watch.period);
  for (unsigned warp = 0; warp < 32; ++warp) {
    if (watch.synced[warp]) std::memset(watch.known[warp], 0, sizeof watch.known[warp]);
    watch.synced[warp] = false;
  }
}

void watch_shared(const void* begin, size_t bytes, const char* name) {
  const auto address = reinterpret_cast<uintptr_t>(begin);
  watch.arrays.push_back({address, address + bytes, name});
}

void watch_thread(unsigned thread, const void* stack, size_t stack_bytes) {
  watch.when = std::max(watch.barrier, watch.period[thread] << 8) | (thread / 32) << 3;
  watch.lane = 1u << thread % 32;
  watch.stack = reinterpret_cast<uintptr_t>(stack);
  watch.stack_bytes = stack_bytes;
  if (counting) count_thread(thread);
  watching = true;
}

void watch_scheduler() { watching = false; }
void watch_end() {
  watching = false;
  if (counting) count_end();
}

void watch_barrier() {
  if (counting) count_barrier();
  watch.barrier = next_number() << 8;
  watch.lane_periods.clear();
}

void watch_meeting(unsigned mask) {
  if (counting) count_meeting(mask);
}

void watch_warp(unsigned warp, unsigned mask) {
  const uint32_t now = next_number();
  uint32_t merged[32] = {};
  for (unsigned lane = 0; lane < 32; ++lane) {
    if ((mask >> lane & 1u) == 0) continue;
    for (unsigned other = 0; other < 32; ++other)
      merged[other] = std::max(merged[other], watch.known[warp][lane][other]);
    watch.period[warp * 32 + lane] = now;
  }
  for (unsigned lane = 0; lane < 32; ++lane)
    if ((mask >> lane & 1u) != 0) merged[lane] = now;
  for (unsigned lane = 0; lane < 32; ++lane)
    if ((mask >> lane & 1u) != 0) std::memcpy(watch.known[warp][lane], merged, sizeof merged);
  watch.synced[warp] = true;
  watch.when = now << 8 | warp << 3;
}

void watch_access(const volatile void* at, size_t bytes, Access access, const void* caller) {
  const auto address = reinterpret_cast<uintptr_t>(at);
  if (counting) return count_access(address, bytes, access, line_of(caller));
  if (access == Access::read) return watch_any<Access::read>(address, bytes, line_of(caller));
  if (access == Access::write) return watch_any<Access::write>(address, bytes, line_of(caller));
  watch_any<Access::atomic>(address, bytes, line_of(caller));
}

void watch_copy(const void* shared, const void* global, size_t bytes, const void* caller) {
  if (counting) return count_copy(shared, global, bytes, line_of(caller));
  if (global != nullptr) watch_access(global, bytes, Access::read, caller);
  watch_access(shared, bytes, Access::write, caller);
  const size_t offset = reinterpret_cast<uintptr_t>(shared) - watch.shared.begin;
  if (offset >= watch.shared.size) fail("the target of a cp.async is not in shared memory");
  for (size_t i = offset; i < offset + bytes; ++i) cell_at(watch.shared, i).write.when |= kPending;
}

void watch_arrival(const void* shared, const void* global, size_t bytes, const void* caller) {
  if (counting) return;
  if (global != nullptr) watch_access(global, bytes, Access::read, caller);  // it may be read until now
  const size_t offset = reinterpret_cast<uintptr_t>(shared) - watch.shared.begin;
  for (size_t i = offset; i < offset + bytes; ++i)
    cell_at(watch.shared, i).write = own_record(line_of(caller));
}

void watch_freed(const void* pages, size_t bytes) {
  Space& s = watch.device;
  if (s.size == 0) return;
  const size_t offset = reinterpret_cast<uintptr_t>(pages) - s.begin;
  madvise(s.words + offset / 4, bytes / 4 * sizeof(Cell), MADV_DONTNEED);
  madvise(s.bytes + offset, bytes * sizeof(Cell), MADV_DONTNEED);
  madvise(s.word_atomics + offset / 4, bytes / 4 * sizeof(Record), MADV_DONTNEED);
  madvise(s.byte_atomics + offset, bytes * sizeof(Record), MADV_DONTNEED);
}

}  // namespace rcnn::cuda_sim

#endif
