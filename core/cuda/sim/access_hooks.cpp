// The functions that g++ calls before every access to memory in code compiled with -fsanitize=thread, for the
// race check. The sanitizer's own library is not linked.
//
// Host code in .cu files makes these calls too, and so may any of the program's threads in functions that the
// linker took from such a file. Every function therefore tests `watching` first.
#if defined(RCNN_RACE_CHECK)

#include "core/cuda/sim/access_counting.h"
#include "core/cuda/sim/access_shadow.h"

using rcnn::cuda_sim::Access;
using rcnn::cuda_sim::counting;
using rcnn::cuda_sim::line_of;
using rcnn::cuda_sim::watching;

namespace {

/// An access of a type that is aligned to its size.
template <size_t kBytes, Access kAccess>
[[gnu::always_inline]] inline void aligned(const void* at, const void* caller) {
  if (!watching) return;
  const auto address = reinterpret_cast<uintptr_t>(at);
  if (counting) [[unlikely]]
    return rcnn::cuda_sim::count_access(address, kBytes, kAccess, line_of(caller));
  if (address % kBytes != 0) [[unlikely]]
    rcnn::cuda_sim::report_misaligned(address, kBytes, kAccess, line_of(caller));
  rcnn::cuda_sim::watch_any<kAccess>(address, kBytes, line_of(caller));
}

template <Access kAccess>
void any(const void* at, size_t bytes, const void* caller) {
  if (!watching || bytes == 0) return;
  const auto address = reinterpret_cast<uintptr_t>(at);
  if (counting) [[unlikely]]
    return rcnn::cuda_sim::count_access(address, bytes, kAccess, line_of(caller));
  rcnn::cuda_sim::watch_any<kAccess>(address, bytes, line_of(caller));
}

}  // namespace

#define CALLER __builtin_return_address(0)

extern "C" {

void __tsan_init() {}
void __tsan_func_entry(void*) {
  if (watching && counting) rcnn::cuda_sim::count_call(+1);
}
void __tsan_func_exit() {
  if (watching && counting) rcnn::cuda_sim::count_call(-1);
}

void __tsan_read_range(void* at, size_t bytes) { any<Access::read>(at, bytes, CALLER); }
void __tsan_write_range(void* at, size_t bytes) { any<Access::write>(at, bytes, CALLER); }
void __tsan_vptr_read(void** at) { any<Access::read>(at, sizeof *at, CALLER); }
void __tsan_vptr_update(void** at, void*) { any<Access::write>(at, sizeof *at, CALLER); }

#define RCNN_ACCESSES(bytes)                                                                  \
  void __tsan_read##bytes(void* at) { aligned<bytes, Access::read>(at, CALLER); }             \
  void __tsan_write##bytes(void* at) { aligned<bytes, Access::write>(at, CALLER); }           \
  void __tsan_volatile_read##bytes(void* at) { aligned<bytes, Access::read>(at, CALLER); }    \
  void __tsan_volatile_write##bytes(void* at) { aligned<bytes, Access::write>(at, CALLER); }  \
  void __tsan_unaligned_read##bytes(const void* at) { any<Access::read>(at, bytes, CALLER); } \
  void __tsan_unaligned_write##bytes(void* at) { any<Access::write>(at, bytes, CALLER); }
RCNN_ACCESSES(1)
RCNN_ACCESSES(2)
RCNN_ACCESSES(4)
RCNN_ACCESSES(8)
RCNN_ACCESSES(16)

// Atomic operations of C++, which only the host uses; kernels use atomicAdd and similar functions.
#define RCNN_CHANGE(bits, Type, name)                                     \
  Type __tsan_atomic##bits##_##name(volatile Type* at, Type value, int) { \
    return __atomic_##name(at, value, __ATOMIC_SEQ_CST);                  \
  }
#define RCNN_ATOMICS(bits, Type)                                                                             \
  Type __tsan_atomic##bits##_load(const volatile Type* at, int) {                                            \
    return __atomic_load_n(at, __ATOMIC_SEQ_CST);                                                            \
  }                                                                                                          \
  void __tsan_atomic##bits##_store(volatile Type* at, Type value, int) {                                     \
    __atomic_store_n(at, value, __ATOMIC_SEQ_CST);                                                           \
  }                                                                                                          \
  Type __tsan_atomic##bits##_exchange(volatile Type* at, Type value, int) {                                  \
    return __atomic_exchange_n(at, value, __ATOMIC_SEQ_CST);                                                 \
  }                                                                                                          \
  int __tsan_atomic##bits##_compare_exchange_strong(volatile Type* at, Type* expected, Type value, int,      \
                                                    int) {                                                   \
    return __atomic_compare_exchange_n(at, expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);      \
  }                                                                                                          \
  int __tsan_atomic##bits##_compare_exchange_weak(volatile Type* at, Type* expected, Type value, int, int) { \
    return __atomic_compare_exchange_n(at, expected, value, true, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);       \
  }                                                                                                          \
  RCNN_CHANGE(bits, Type, fetch_add)                                                                         \
  RCNN_CHANGE(bits, Type, fetch_sub)                                                                         \
  RCNN_CHANGE(bits, Type, fetch_and)                                                                         \
  RCNN_CHANGE(bits, Type, fetch_or)                                                                          \
  RCNN_CHANGE(bits, Type, fetch_xor)                                                                         \
  RCNN_CHANGE(bits, Type, fetch_nand)
RCNN_ATOMICS(8, uint8_t)
RCNN_ATOMICS(16, uint16_t)
RCNN_ATOMICS(32, uint32_t)
RCNN_ATOMICS(64, uint64_t)
void __tsan_atomic_thread_fence(int) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
void __tsan_atomic_signal_fence(int) { __atomic_signal_fence(__ATOMIC_SEQ_CST); }

}  // extern "C"

#endif
