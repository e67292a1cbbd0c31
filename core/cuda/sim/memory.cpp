#include "core/cuda/sim/memory.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <utility>

#include "core/cuda/sim/access_check.h"
#include "core/cuda/sim/simulation.h"

namespace rcnn::cuda_sim {
namespace {

#if defined(RCNN_RACE_CHECK)
constexpr size_t kReserved = size_t{16} << 30;  // the check reserves 60 times as much in addition
#else
constexpr size_t kReserved = size_t{64} << 30;  // addresses; memory is taken page by page
#endif
constexpr size_t kLimit = size_t{8} << 30;  // the memory that the device claims to have
constexpr size_t kAlignment = 64;
constexpr unsigned char kFilling = 0xFE;

size_t page_size() {
  static const size_t size = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return size;
}

struct Allocation {
  size_t bytes;
  std::byte* pages;
  size_t page_bytes;  // without the closed page that follows
};

struct Arena {
  std::byte* base = nullptr;
  std::map<std::byte*, Allocation> allocations;  // by address
  std::multimap<size_t, std::byte*> unused;      // freed page ranges, by their size
  size_t next = 0;                               // bytes of the reservation handed out so far
  size_t in_use = 0;
  int open = 0;

  Arena() {
    void* reserved = mmap(nullptr, kReserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (reserved != MAP_FAILED) base = static_cast<std::byte*>(reserved);
  }
};

Arena& arena() {
  static Arena* instance = new Arena;  // never destroyed: storages may outlive static objects
  return *instance;
}

void protect(const Allocation& allocation, int protection) {
  if (mprotect(allocation.pages, allocation.page_bytes, protection) != 0) std::abort();
}

/// The filling before (at most 64 bytes of it) and after an allocation.
struct Filling {
  std::byte *front, *front_end, *back, *back_end;
};
Filling filling(std::byte* data, const Allocation& a) {
  return {std::max(a.pages, data - kAlignment), data, data + a.bytes, a.pages + a.page_bytes};
}

}  // namespace

unsigned char poison() {
  const Settings& s = settings();
  const bool first = s.order == Order::ascending || (s.order == Order::shuffled && s.seed % 2 == 1);
  return first ? 0xFF : 0xA5;  // a NaN, or a small negative number
}

void* allocate_device(size_t bytes) {
  Arena& a = arena();
  const size_t rounded = std::max(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
  const size_t page_bytes = (rounded + page_size() - 1) / page_size() * page_size();
  if (a.base == nullptr || a.in_use + page_bytes > kLimit) return nullptr;
  std::byte* pages;
  if (const auto found = a.unused.find(page_bytes); found != a.unused.end()) {
    pages = found->second;
    a.unused.erase(found);
  } else {
    if (a.next + page_bytes + page_size() > kReserved) return nullptr;
    pages = a.base + a.next;
    a.next += page_bytes + page_size();
  }
  const Allocation allocation{bytes, pages, page_bytes};
  std::byte* data = pages + page_bytes - rounded;
  protect(allocation, PROT_READ | PROT_WRITE);
  const Filling f = filling(data, allocation);
  std::memset(f.front, kFilling, static_cast<size_t>(f.front_end - f.front));
  std::memset(f.back, kFilling, static_cast<size_t>(f.back_end - f.back));
  std::memset(data, poison(), bytes);
  if (a.open == 0) protect(allocation, PROT_NONE);
  a.allocations.emplace(data, allocation);
  a.in_use += page_bytes;
  return data;
}

bool free_device(void* pointer) {
  Arena& a = arena();
  const auto found = a.allocations.find(static_cast<std::byte*>(pointer));
  if (found == a.allocations.end()) return false;
  const Allocation allocation = found->second;
  protect(allocation, PROT_NONE);
  madvise(allocation.pages, allocation.page_bytes, MADV_DONTNEED);
  watch_freed(allocation.pages, allocation.page_bytes);
  a.unused.emplace(allocation.page_bytes, allocation.pages);
  a.in_use -= allocation.page_bytes;
  a.allocations.erase(found);
  return true;
}

size_t device_bytes_in_use() { return arena().in_use; }
size_t device_bytes() { return kLimit; }

bool is_device_address(const void* pointer) {
  const Arena& a = arena();
  const auto* p = static_cast<const std::byte*>(pointer);
  return a.base != nullptr && p >= a.base && p < a.base + kReserved;
}

DeviceRange device_arena() {
  const auto base = reinterpret_cast<uintptr_t>(arena().base);
  return base == 0 ? DeviceRange{} : DeviceRange{base, base + kReserved};
}

DeviceRange allocation_at(const void* pointer) {
  Arena& a = arena();
  auto* p = static_cast<std::byte*>(const_cast<void*>(pointer));
  auto next = a.allocations.upper_bound(p);
  if (next == a.allocations.begin()) return {};
  const auto& [data, allocation] = *std::prev(next);
  if (p >= data + allocation.bytes) return {};
  return {reinterpret_cast<uintptr_t>(data), reinterpret_cast<uintptr_t>(data + allocation.bytes)};
}

bool is_device_range(const void* pointer, size_t bytes) {
  Arena& a = arena();
  auto* p = static_cast<std::byte*>(const_cast<void*>(pointer));
  auto next = a.allocations.upper_bound(p);
  if (next == a.allocations.begin()) return false;
  --next;
  return p + bytes <= next->first + next->second.bytes;
}

std::string describe_device_address(const void* pointer) {
  Arena& a = arena();
  auto* p = static_cast<std::byte*>(const_cast<void*>(pointer));
  auto next = a.allocations.upper_bound(p);
  if (next != a.allocations.begin()) {
    const auto& [data, allocation] = *std::prev(next);
    if (p < data + allocation.bytes)
      return fmt::format("byte {} of an allocation of {} bytes", p - data, allocation.bytes);
    if (p < allocation.pages + allocation.page_bytes + page_size())
      return fmt::format("{} bytes past an allocation of {} bytes",
                         p - data - static_cast<ptrdiff_t>(allocation.bytes) + 1, allocation.bytes);
  }
  if (next != a.allocations.end() && p >= next->second.pages - page_size())
    return fmt::format("{} bytes before an allocation of {} bytes", next->first - p, next->second.bytes);
  return "device memory that is not allocated or was freed";
}

OpenDevice::OpenDevice() {
  Arena& a = arena();
  if (a.open++ == 0)
    for (const auto& [data, allocation] : a.allocations) protect(allocation, PROT_READ | PROT_WRITE);
}
OpenDevice::~OpenDevice() {
  Arena& a = arena();
  if (--a.open == 0)
    for (const auto& [data, allocation] : a.allocations) protect(allocation, PROT_NONE);
}

std::string damaged_filling() {
  std::string found;
  for (const auto& [data, allocation] : arena().allocations) {
    const Filling f = filling(data, allocation);
    const auto damaged = [](std::byte* from, std::byte* to) {
      return std::find_if(from, to, [](std::byte b) { return b != std::byte{kFilling}; });
    };
    std::byte* at = damaged(f.front, f.front_end);
    const bool before = at != f.front_end;
    if (!before) at = damaged(f.back, f.back_end);
    if (!before && at == f.back_end) continue;
    if (found.empty()) found = describe_device_address(at);
    // Restored, so that the damage is reported only once.
    std::memset(f.front, kFilling, static_cast<size_t>(f.front_end - f.front));
    std::memset(f.back, kFilling, static_cast<size_t>(f.back_end - f.back));
  }
  return found;
}

// ---- stray accesses -----------------------------------------------------------------------------
namespace {

struct sigaction previous;
const void* stray_address;
bool stray_write;

/// A kernel's thread continues here after a stray access: on its own stack, outside the signal handler.
[[noreturn]] void end_stray_thread() {
  const Unwatched unwatched;
  const char* did = stray_write ? "it wrote to" : "it read";
  std::string sentence = is_device_address(stray_address)
                             ? fmt::format("{} {}", did, describe_device_address(stray_address))
                             : fmt::format("{} {}, which is not device memory", did, stray_address);
  fail(std::move(sentence));
}

void on_stray_access(int signal, siginfo_t* info, void* context) {
  if (!in_kernel()) {
    if (is_device_address(info->si_addr)) {
      constexpr char sentence[] =
          "the host touched device memory: a tensor's data() on cuda is a device pointer; copy it with to() "
          "first\n";
      [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, sentence, sizeof sentence - 1);
    }
    sigaction(signal, &previous, nullptr);  // the access is repeated and ends the program as usual
    return;
  }
  stray_address = info->si_addr;
  auto* registers = &static_cast<ucontext_t*>(context)->uc_mcontext;
#if defined(__x86_64__)
  stray_write = (registers->gregs[REG_ERR] & 2) != 0;
  // Below the red zone, as after a call: the stack pointer is 8 past a multiple of 16.
  registers->gregs[REG_RSP] = ((registers->gregs[REG_RSP] - 256) & ~15ll) - 8;
  registers->gregs[REG_RIP] = reinterpret_cast<greg_t>(&end_stray_thread);
#elif defined(__aarch64__)
  registers->sp = (registers->sp - 256) & ~15ull;
  registers->pc = reinterpret_cast<uintptr_t>(&end_stray_thread);
#else
#error "the simulation runs on x86-64 and arm64"
#endif
}

}  // namespace

void install_access_handler() {
  struct sigaction current = {};  // ours may have been replaced: doctest installs one for each test case
  sigaction(SIGSEGV, nullptr, &current);
  if (current.sa_sigaction == on_stray_access) return;
  struct sigaction action = {};
  action.sa_sigaction = on_stray_access;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  sigemptyset(&action.sa_mask);
  sigaction(SIGSEGV, &action, &previous);
}

}  // namespace rcnn::cuda_sim
