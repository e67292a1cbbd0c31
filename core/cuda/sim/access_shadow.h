// The race check's memory, and the part of the check that runs at every access. Only for
// core/cuda/sim/access_*.cpp.
//
// Two accesses of a launch to the same byte by different threads, at least one of them a write and not both
// atomic, are a race if the threads belong to different blocks, or if they belong to the same block and
// nothing orders them: neither a barrier of the block nor, within a warp, a chain of __syncwarp calls from
// one to the other.
//
// Blocks run one after another, and every one is a run with its own number. A block's barriers and
// __syncwarps are numbered in the order in which they happen; the number of the last one that a thread met is
// the thread's period. An access is ordered before the running thread if its period is smaller than the
// number of the last barrier, or, in the same warp, smaller than the number up to which the running thread
// knows about that lane (a vector clock). Every word of memory has three records: of the last write, of the
// reads, and of the atomic accesses that are not ordered among themselves. The record of one access stands
// for all earlier ones that are ordered before it, because whatever comes after it comes after them too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/cuda/sim/access_check.h"
#include "core/cuda/sim/memory.h"

extern "C" const char __executable_start;  // defined by the linker: the program's first byte

namespace rcnn::cuda_sim {

/// Which thread made an access. A record of reads or of atomic accesses may stand for several threads.
struct Record {
  uint32_t run;    // of the block; 0: there was no access
  uint32_t when;   // period << 8 | warp << 3 | marks
  uint32_t lanes;  // of that warp, one bit each; the marks below give it other meanings
  uint32_t line;   // position in the program's code, counted from its beginning
};
constexpr uint32_t kWarpBits = 31u << 3;
// Marks of reads and atomic accesses.
constexpr uint32_t kPeriods = 1;  // the lanes' periods differ: `lanes` is an index into Watch::lane_periods
constexpr uint32_t kWarps = 2;    // of several warps: `lanes` has one thread, and << 16 one of another warp
constexpr uint32_t kOtherLines = 4;  // `line` does not hold for all accesses
// Marks of writes.
constexpr uint32_t kSplit = 1;    // of a word: each of its bytes has its own records
constexpr uint32_t kPending = 2;  // by a cp.async that its thread has not waited for
constexpr uint32_t kUnusual = 3;  // one of the two

struct Cell {
  Record write, reads;
};

/// The records of the device's memory or of a block's shared memory.
struct Space {
  uintptr_t begin = 0;
  size_t size = 0;
  uint32_t oldest = 0;  // runs before this one, the first of the launch or the block's, do not count
  Cell* words = nullptr;
  Cell* bytes = nullptr;
  Record* word_atomics = nullptr;
  Record* byte_atomics = nullptr;
};

struct SharedRange {
  uintptr_t begin, end;
  const char* name;
};

/// The last read of every lane of a warp.
struct LanePeriods {
  uint32_t lanes;
  uint32_t period[32];
};

struct Watch {
  // The running thread.
  uint32_t run = 0;
  uint32_t when = 0;
  uint32_t lane = 0;     // its bit
  uint32_t barrier = 0;  // number of the block's last barrier << 8
  uintptr_t stack = 0;
  size_t stack_bytes = 0;

  Space device, shared;
  uintptr_t program = 0;  // the program's static storage and code
  size_t program_bytes = 0;
  bool atomics = false;  // the launch has made an atomic access
  uint32_t first_run = 0;
  uint32_t number = 0;              // of the last barrier or __syncwarp
  std::vector<unsigned> blocks;     // of the runs since first_run
  std::vector<SharedRange> arrays;  // of shared memory
  DeviceRange array[64] = {};       // those found recently, by their addresses
  std::vector<LanePeriods> lane_periods;
  uint32_t period[1024] = {};  // of each thread, from __syncwarp alone
  /// By warp, lane and other lane: the other lane's accesses of smaller periods are ordered before the lane.
  uint32_t known[32][32][32] = {};
  bool synced[32] = {};               // whether a warp's part of `known` is not all 0
  DeviceRange allocations[256] = {};  // those found recently, by their pages
};
extern Watch watch;

/// The position in the program's code that a record keeps.
inline uint32_t line_of(const void* caller) {
  return static_cast<uint32_t>(reinterpret_cast<uintptr_t>(caller) -
                               reinterpret_cast<uintptr_t>(&__executable_start));
}

inline Record own_record(uint32_t line) { return {watch.run, watch.when, watch.lane, line}; }

/// Whether a record, whose run must count, is plainly ordered before the running thread. If false, it may
/// still be ordered.
inline bool plainly_before(const Record& r) {
  if (r.run != watch.run) return false;
  return r.when < watch.barrier ||
         (r.lanes == watch.lane && ((r.when ^ watch.when) & (kWarpBits | kPeriods | kWarps)) == 0);
}

// Implemented in access_check.cpp.
/// A lane of the record that is not ordered before the running thread; -1 if there is none. For records of
/// the running block that are not marked kWarps.
int unordered_lane(const Record& r);
/// Adds an access to others of the same run that are not all plainly before it.
void join(Record& r, uint32_t line);
/// The slow path for accesses that are not plainly right: reports a fault or records the access. `cell` is
/// that of the word or byte at `offset`.
void check_cell(Space& space, Cell& cell, Record& atomics, size_t offset, size_t size, Access access,
                uint32_t line);
/// Whether a word's bytes have their own records.
inline bool is_split(const Space& s, const Cell& word) {
  return word.write.run >= s.oldest && (word.write.when & kSplit) != 0;
}
void split_word(Space& space, size_t word);
void find_array(uintptr_t at, size_t bytes, Access access, uint32_t line);
void find_allocation(uintptr_t at, size_t bytes, Access access, uint32_t line);
void check_elsewhere(uintptr_t at, size_t bytes, Access access, uint32_t line);

// Implemented in access_report.cpp: the messages.
[[noreturn]] void report_race(const Space& space, size_t offset, const Record& earlier, Access before,
                              Access now, uint32_t line);
[[noreturn]] void report_unwritten(size_t offset, uint32_t line);
[[noreturn]] void report_pending(size_t offset, const Record& copy, Access now, uint32_t line);
[[noreturn]] void report_outside(uintptr_t at, size_t bytes, Access access, uint32_t line);
[[noreturn]] void report_misaligned(uintptr_t at, size_t bytes, Access access, uint32_t line);

// ---- every access -------------------------------------------------------------------------------

/// Adds an access to the reads or to the atomic accesses.
inline void enter(Record& r, uint32_t oldest, uint32_t line) {
  if (r.run == watch.run && ((r.when ^ watch.when) & ~kOtherLines) == 0) {  // same warp, same period
    if (r.line != line) {
      if (r.lanes == watch.lane)
        r.line = line;
      else
        r.when |= kOtherLines;
    }
    r.lanes |= watch.lane;
  } else if (r.run < oldest || plainly_before(r)) {
    r = own_record(line);
  } else if (r.run == watch.run) {
    join(r, line);
  }  // otherwise the record is another block's, and whatever conflicts with this access conflicts with it too
}

/// An access to one word, or to one byte of a split word.
template <Access kAccess>
[[gnu::always_inline]] inline void watch_cell(Space& s, Cell& cell, Record* atomics, size_t offset,
                                              size_t size, uint32_t line) {
  const Record& w = cell.write;
  bool quick = !watch.atomics && kAccess != Access::atomic;
  if (w.run >= s.oldest)
    quick = quick && (w.when & kUnusual) == 0 && plainly_before(w);
  else if (kAccess == Access::read)
    quick = quick && &s == &watch.device;  // else it may read shared memory that was never written
  if (kAccess == Access::write) quick = quick && (cell.reads.run < s.oldest || plainly_before(cell.reads));
  if (!quick) [[unlikely]]
    return check_cell(s, cell, *atomics, offset, size, kAccess, line);
  if (kAccess == Access::write)
    cell.write = own_record(line);
  else
    enter(cell.reads, s.oldest, line);
}

/// An access to bytes of one word.
template <Access kAccess>
inline void watch_bytes(Space& s, size_t offset, size_t size, uint32_t line) {
  if (!is_split(s, s.words[offset / 4])) split_word(s, offset / 4);
  for (size_t i = offset; i < offset + size; ++i)
    watch_cell<kAccess>(s, s.bytes[i], s.byte_atomics + i, i, 1, line);
}

template <Access kAccess>
[[gnu::always_inline]] inline void watch_word(Space& s, size_t offset, uint32_t line) {
  Cell& cell = s.words[offset / 4];
  if (is_split(s, cell)) [[unlikely]]
    return watch_bytes<kAccess>(s, offset, 4, line);
  watch_cell<kAccess>(s, cell, s.word_atomics + offset / 4, offset, 4, line);
}

/// An access to [offset, offset + size) of a space, all of which may be used.
template <Access kAccess>
[[gnu::always_inline]] inline void watch_range(Space& s, size_t offset, size_t size, uint32_t line) {
  if (size == 4 && offset % 4 == 0) return watch_word<kAccess>(s, offset, line);
  const size_t end = offset + size;
  while (offset < end) {
    const size_t word_end = offset / 4 * 4 + 4;
    if (offset % 4 == 0 && word_end <= end)
      watch_word<kAccess>(s, offset, line);
    else
      watch_bytes<kAccess>(s, offset, (word_end < end ? word_end : end) - offset, line);
    offset = word_end;
  }
}

/// The running thread's access to any address.
template <Access kAccess>
[[gnu::always_inline]] inline void watch_any(uintptr_t at, size_t bytes, uint32_t line) {
  if (size_t offset = at - watch.device.begin; offset < watch.device.size) {
    const DeviceRange& range = watch.allocations[at / 4096 % 256];
    if (at < range.begin || at + bytes > range.end) [[unlikely]]
      find_allocation(at, bytes, kAccess, line);
    watch_range<kAccess>(watch.device, offset, bytes, line);
  } else if (offset = at - watch.shared.begin; offset < watch.shared.size) {
    const DeviceRange& range = watch.array[at / 256 % 64];
    if (at < range.begin || at + bytes > range.end) [[unlikely]]
      find_array(at, bytes, kAccess, line);
    watch_range<kAccess>(watch.shared, offset, bytes, line);
  } else if (at - watch.stack >= watch.stack_bytes) {
    check_elsewhere(at, bytes, kAccess, line);
  }
}

}  // namespace rcnn::cuda_sim
