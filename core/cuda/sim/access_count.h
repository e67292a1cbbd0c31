// Counts what the memory accesses of kernels cost: 32-byte sectors, conflicts of shared memory's banks, lanes
// that take no part, and bytes that are read again. It needs the build that sees every access
// (CONFIG=races); a launch is then counted instead of checked.
//
// A request is one instruction of a warp. The simulation runs a warp's threads one after another, so their
// accesses are put side by side afterwards, between the points where the threads met: of the lanes' next
// accesses, those of the deepest call go first, and among these those at the lowest place of the code, all
// lanes that are there together. That is the order of a warp that runs loops and branches as they are written
// and joins again behind them. The code is that of g++ -O1, and nvcc may merge, repeat or drop accesses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace rcnn::cuda_sim {

/// What an instruction does: `copy` is a part of a cp.async, and ldmatrix counts as a read.
enum class AccessKind { read, write, atomic, copy };

/// The requests that one line of a kernel makes for one kind of access, with one stride.
struct AccessCount {
  std::string place;   // kernels/vectors.h:17, or an address if the line is not known
  std::string caller;  // the line in another file that the function was inlined into, or ""
  AccessKind kind = AccessKind::read;
  bool shared = false;    // shared memory; otherwise global memory
  int bytes = 0;          // of each lane
  uint64_t requests = 0;  // instructions that a warp executed
  uint64_t lanes = 0;     // that took part in them
  uint64_t places = 0;    // lanes of those warps
  // Global memory.
  uint64_t sectors = 0;      // of 32 bytes that the requests touch
  uint64_t min_sectors = 0;  // that the same bytes would fill if they lay side by side
  uint64_t moved = 0;        // bytes, those that several lanes of a request share once
  uint64_t again = 0;        // bytes of reads that the same block had read before
  // Shared memory and atomics: how often the banks are asked in turn. 4 bytes of each lane are one turn, 8
  // are two and 16 are four if no two words of a turn lie in the same of the 32 banks.
  uint64_t turns = 0, min_turns = 0;
  int64_t stride = 0;  // bytes from a lane's address to the next lane's; 0: it varies, or is 0
};

struct LaunchCount {
  std::string kernel;
  unsigned grid[3] = {}, block[3] = {};
  size_t shared = 0;        // bytes of a block, declared and dynamic
  uint64_t counted = 0;     // blocks that ran
  uint64_t barriers = 0;    // that these met at
  uint64_t read = 0;        // bytes of global memory read, those that several lanes of a request share once
  uint64_t read_block = 0;  // different bytes that a block reads, summed over the blocks
  uint64_t read_all = 0;    // different bytes that all counted blocks together read
  std::vector<AccessCount> accesses;  // the costliest first

  uint64_t blocks() const { return uint64_t{grid[0]} * grid[1] * grid[2]; }
};

/// Whether this build can count.
bool can_count_accesses();

/// Launches are counted during its lifetime. Only one may exist, and nothing may wait on a stream when it
/// begins or ends.
class AccessCounter {
 public:
  /// Of each launch at most so many blocks run, spread evenly over the grid; 0: all. Without the others a
  /// kernel's results are wrong.
  explicit AccessCounter(uint64_t blocks = 0);
  ~AccessCounter();
  AccessCounter(const AccessCounter&) = delete;
  AccessCounter& operator=(const AccessCounter&) = delete;

  /// The launches so far, in order.
  std::vector<LaunchCount> launches() const;
};

}  // namespace rcnn::cuda_sim
