// Tells AddressSanitizer when the simulation changes stacks; does nothing in other configurations.
#pragma once

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace rcnn::cuda_sim {

struct Stack {
  const void* bottom = nullptr;
  size_t bytes = 0;
};
/// The stack of the thread that runs the scheduler; known once it has entered a fiber.
inline Stack& main_stack() {
  static Stack stack;
  return stack;
}

#if defined(__SANITIZE_ADDRESS__)
inline void leave_stack(const Stack& to) { __sanitizer_start_switch_fiber(nullptr, to.bottom, to.bytes); }
inline void entered_stack() {
  __sanitizer_finish_switch_fiber(nullptr, &main_stack().bottom, &main_stack().bytes);
}
inline void leave_main_stack(const void* bottom, size_t bytes) {
  __sanitizer_start_switch_fiber(nullptr, bottom, bytes);
}
inline void entered_main_stack() { __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr); }
inline void clear_stack(void* bottom, size_t bytes) { __asan_unpoison_memory_region(bottom, bytes); }
#else
inline void leave_stack(const Stack&) {}
inline void entered_stack() {}
inline void leave_main_stack(const void*, size_t) {}
inline void entered_main_stack() {}
inline void clear_stack(void*, size_t) {}
#endif

}  // namespace rcnn::cuda_sim
