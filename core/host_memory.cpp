#include "core/host_memory.h"

#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <mutex>
#include <optional>

#include "core/error.h"
#include "core/memory.h"
#include "core/memory_limit.h"

namespace rcnn {
namespace {

constexpr size_t kAlignment = 64, kPage = 4096;
constexpr size_t kSmall = size_t{1} << 16;  // smaller blocks come from malloc

// The sanitizers watch malloc's blocks; they would not notice a write past one of ours.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kKeeps = false;
#else
constexpr bool kKeeps = true;
#endif

size_t round_up(size_t bytes, size_t step) { return (bytes + step - 1) / step * step; }

/// Address space that is free, as start -> bytes; neighbours are merged.
class Ranges {
 public:
  void add(size_t begin, size_t bytes) {
    total_ += bytes;
    auto next = ranges_.lower_bound(begin);
    if (next != ranges_.begin())
      if (const auto before = std::prev(next); before->first + before->second == begin) {
        begin = before->first;
        bytes += before->second;
        ranges_.erase(before);
      }
    if (next != ranges_.end() && begin + bytes == next->first) {
      bytes += next->second;
      next = ranges_.erase(next);
    }
    ranges_.emplace_hint(next, begin, bytes);
  }

  /// Takes `bytes` from the smallest range that has as many. Returns where they begin, or nothing.
  std::optional<size_t> take(size_t bytes) {
    auto best = ranges_.end();
    for (auto range = ranges_.begin(); range != ranges_.end(); ++range)
      if (range->second >= bytes && (best == ranges_.end() || range->second < best->second)) best = range;
    if (best == ranges_.end()) return {};
    const size_t begin = best->first, rest = best->second - bytes;
    total_ -= bytes;
    ranges_.erase(best);
    if (rest > 0) ranges_.emplace(begin + bytes, rest);
    return begin;
  }

  /// The size of the smallest range. There must be one.
  size_t smallest() const {
    return std::min_element(ranges_.begin(), ranges_.end(),
                            [](const auto& a, const auto& b) { return a.second < b.second; })
        ->second;
  }
  size_t total() const { return total_; }

 private:
  std::map<size_t, size_t> ranges_;
  size_t total_ = 0;
};

/// A range of addresses as large as the machine's memory, or half of what the process may map. Its free pages
/// are either warm, backed by memory that the system has given to this process, or cold, taking only
/// addresses.
class Heap {
 public:
  Heap() {
    size_t bytes = static_cast<size_t>(::sysconf(_SC_PHYS_PAGES)) * kPage;
    // Under a limit of addresses, those that are kept for tensors must leave some for everything else.
    if (address_limit() > 0) bytes = std::min(bytes, round_up(address_limit() / 2, kPage));
    void* base =
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) return;  // everything then comes from malloc
    base_ = static_cast<std::byte*>(base);
#if defined(MADV_HUGEPAGE)
    // Tensors are walked through many at a time: with pages of 2 MiB, the processor need not look up as many
    // addresses. Where the system has no such pages, the call fails and nothing changes.
    ::madvise(base_, bytes, MADV_HUGEPAGE);
#endif
    cold_.add(0, bytes);
#if defined(__GLIBC__)
    // Large blocks that malloc serves (mostly decoded images) must go back to the system too. By default,
    // malloc raises its threshold when the first large block is freed, and keeps the next one.
    ::mallopt(M_MMAP_THRESHOLD, 1 << 17);
#endif
  }

  /// Null when there is no room.
  std::byte* take(size_t bytes) {
    const std::lock_guard lock(mutex_);
    std::optional<size_t> begin = warm_.take(bytes);
    if (!begin) begin = cold_.take(bytes);
    if (!begin) return nullptr;
    in_use_ += bytes;
    max_in_use_ = std::max(max_in_use_, in_use_);
    cool();
    return base_ + *begin;
  }

  void give_back(std::byte* data, size_t bytes) {
    const std::lock_guard lock(mutex_);
    in_use_ -= bytes;
    warm_.add(static_cast<size_t>(data - base_), bytes);
  }

  size_t held() {
    const std::lock_guard lock(mutex_);
    return in_use_ + warm_.total();
  }

 private:
  /// Returns free pages to the system until the warm pages and those in use are hardly more than the maximum
  /// that was ever in use. The smallest ranges go first, because they serve the fewest requests.
  void cool() {
    const auto max_held =
        round_up(static_cast<size_t>(max_held_host_memory(static_cast<int64_t>(max_in_use_))), kPage);
    while (in_use_ + warm_.total() > max_held) {
      const size_t bytes = std::min(warm_.smallest(), in_use_ + warm_.total() - max_held);
      const size_t begin = *warm_.take(bytes);
      ::madvise(base_ + begin, bytes, MADV_DONTNEED);
      cold_.add(begin, bytes);
    }
  }

  std::mutex mutex_;
  std::byte* base_ = nullptr;
  size_t in_use_ = 0, max_in_use_ = 0;  // bytes
  Ranges warm_, cold_;
};

Heap& heap() {
  static auto* instance = new Heap;  // never destroyed: tensors may outlive static objects
  return *instance;
}

}  // namespace

std::shared_ptr<std::byte> allocate_host(size_t bytes) {
  std::byte* data = nullptr;
  size_t taken = 0;
  if (kKeeps && bytes >= kSmall) {
    taken = round_up(bytes, kPage);
    data = heap().take(taken);
  }
  const bool of_heap = data != nullptr;
  if (!of_heap) {
    // At least one byte, so that an empty tensor has its own pointer.
    taken = round_up(std::max<size_t>(bytes, 1), kAlignment);
    data = static_cast<std::byte*>(std::aligned_alloc(kAlignment, taken));
  }
  if (data == nullptr) throw Error(fmt::format("out of memory: {} bytes were requested on the cpu", bytes));
  count_memory(Device{}, static_cast<int64_t>(taken));
  return {data, [of_heap, taken](std::byte* p) {
            count_memory(Device{}, -static_cast<int64_t>(taken));
            if (of_heap)
              heap().give_back(p, taken);
            else
              std::free(p);
          }};
}

int64_t held_host_memory() { return kKeeps ? static_cast<int64_t>(heap().held()) : memory_in_use(Device{}); }

int64_t max_held_host_memory(int64_t in_use) { return in_use + in_use / 16; }

}  // namespace rcnn
