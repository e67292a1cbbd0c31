// The race check's messages.
#if defined(RCNN_RACE_CHECK)

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <map>
#include <string>

#include "core/cuda/sim/access_shadow.h"
#include "core/cuda/sim/device_code.h"
#include "core/cuda/sim/source_lines.h"

namespace rcnn::cuda_sim {
namespace {

// ---- source lines -------------------------------------------------------------------------------

/// " at kernels/boxes/nms_cuda.cu:34", or " at 0x1234 of the program". Every line is looked up only once.
const std::string& at_line(uint32_t line) {
  static auto* known = new std::map<uint32_t, std::string>;
  const auto found = known->find(line);
  return found != known->end() ? found->second
                               : known->emplace(line, " at " + source_lines({line})[0].place).first->second;
}

// ---- threads and places -------------------------------------------------------------------------

std::string thread_text(unsigned thread) {
  const dim3& size = built_ins.block_size;
  return fmt::format("thread ({}, {}, {})", thread % size.x, thread / size.x % size.y,
                     thread / (size.x * size.y));
}

std::string block_text(uint32_t run) {
  const dim3& size = built_ins.grid_size;
  const unsigned block = watch.blocks[run - watch.first_run];
  return fmt::format("block ({}, {}, {})", block % size.x, block / size.x % size.y,
                     block / (size.x * size.y));
}

unsigned running_thread() {
  return ((watch.when & kWarpBits) >> 3) * 32 + static_cast<unsigned>(std::countr_zero(watch.lane));
}

/// One of the threads of a record that are not ordered before the running thread.
std::string unordered_thread(const Record& r) {
  const unsigned first_of_warp = ((r.when & kWarpBits) >> 3) * 32;
  if ((r.when & kWarps) != 0) {
    const unsigned first = r.lanes & 0xFFFF, second = r.lanes >> 16;
    return thread_text(r.run == watch.run && first == running_thread() ? second : first);
  }
  if (r.run == watch.run) return thread_text(first_of_warp + static_cast<unsigned>(unordered_lane(r)));
  if ((r.when & kPeriods) != 0) return "a thread";  // the lanes are forgotten with their block
  return thread_text(first_of_warp + static_cast<unsigned>(std::countr_zero(r.lanes)));
}

const char* done(Access access) {
  return access == Access::read ? "read" : access == Access::write ? "written" : "changed atomically";
}

const char* did(Access access) {
  return access == Access::read    ? "it read"
         : access == Access::write ? "it wrote to"
                                   : "it changed atomically";
}

/// "byte 12 of the 512 of the shared array `tile`"
std::string shared_text(size_t offset) {
  const uintptr_t at = watch.shared.begin + offset;
  for (const SharedRange& array : watch.arrays) {
    if (at < array.begin || at >= array.end) continue;
    const std::string byte = fmt::format("byte {} of the {} of ", at - array.begin, array.end - array.begin);
    return byte + (array.name == nullptr ? "dynamic shared memory"
                                         : fmt::format("the shared array `{}`", array.name));
  }
  return "shared memory";
}

std::string place_text(const Space& space, size_t offset) {
  if (&space == &watch.shared) return shared_text(offset);
  return describe_device_address(reinterpret_cast<const void*>(space.begin + offset));
}

/// Describes an address in shared memory outside the block's arrays.
std::string outside_shared_text(uintptr_t at) {
  const SharedRange* nearest = nullptr;
  for (const SharedRange& array : watch.arrays)
    if (array.end <= at && (nearest == nullptr || array.end > nearest->end)) nearest = &array;
  if (nearest == nullptr) return "shared memory before the block's arrays";
  const size_t past = at - nearest->end + 1;
  if (nearest->name == nullptr)
    return fmt::format("{} bytes past the {} bytes of dynamic shared memory", past,
                       nearest->end - nearest->begin);
  return fmt::format("{} bytes past the shared array `{}`, which has {}", past, nearest->name,
                     nearest->end - nearest->begin);
}

}  // namespace

void report_race(const Space& space, size_t offset, const Record& earlier, Access before, Access now,
                 uint32_t line) {
  const Unwatched unwatched;
  const bool same_block = earlier.run == watch.run;
  const bool same_warp =
      same_block && ((earlier.when ^ watch.when) & kWarpBits) == 0 && (earlier.when & kWarps) == 0;
  const std::string first =
      fmt::format("{} by {} of {}{}", done(before), unordered_thread(earlier), block_text(earlier.run),
                  (earlier.when & kOtherLines) != 0 ? std::string() : at_line(earlier.line));
  const std::string second = fmt::format("{} by {} of {}{}", done(now), thread_text(running_thread()),
                                         block_text(watch.run), at_line(line));
  fail(fmt::format("race: {} was {} and {}, {}", place_text(space, offset), first, second,
                   same_warp    ? "with no barrier or __syncwarp between them"
                   : same_block ? "with no barrier between them"
                                : "and blocks run in any order"));
}

void report_unwritten(size_t offset, uint32_t line) {
  const Unwatched unwatched;
  fail(fmt::format("uninitialised shared memory: it read {}{}, which no thread of the block has written",
                   shared_text(offset), at_line(line)));
}

void report_pending(size_t offset, const Record& copy, Access now, uint32_t line) {
  const Unwatched unwatched;
  const unsigned thread =
      ((copy.when & kWarpBits) >> 3) * 32 + static_cast<unsigned>(std::countr_zero(copy.lanes));
  fail(fmt::format("missing wait: {} {}{}, to which {} started a cp.async{} that it has not waited for",
                   did(now), shared_text(offset), at_line(line), thread_text(thread), at_line(copy.line)));
}

void report_outside(uintptr_t at, size_t bytes, Access access, uint32_t line) {
  const Unwatched unwatched;
  for (uintptr_t byte = at; byte < at + bytes; ++byte) {  // the first byte that may not be touched
    const bool allocated = allocation_at(reinterpret_cast<const void*>(byte)).end != 0;
    const bool shared =
        std::any_of(watch.arrays.begin(), watch.arrays.end(),
                    [byte](const SharedRange& array) { return byte >= array.begin && byte < array.end; });
    if (allocated || shared) continue;
    at = byte;
    break;
  }
  const auto* address = reinterpret_cast<const void*>(at);
  const std::string where = is_device_address(address)                    ? describe_device_address(address)
                            : at - watch.shared.begin < watch.shared.size ? outside_shared_text(at)
                            : at - watch.program < watch.program_bytes    ? "a variable of the host's program"
                            : at < 65536 ? fmt::format("the address {:#x}", at)
                                         : "memory of the host";
  fail(fmt::format("{} {}{}", did(access), where, at_line(line)));
}

void report_misaligned(uintptr_t at, size_t bytes, Access access, uint32_t line) {
  const Unwatched unwatched;
  fail(fmt::format("{} {} bytes{}, at {:#x}, which is not a multiple of that", did(access), bytes,
                   at_line(line), at));
}

}  // namespace rcnn::cuda_sim

#endif
