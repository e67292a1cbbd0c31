// Whether memory can be moved 16 bytes at a time.
#pragma once

#include <cstdint>
#include <initializer_list>

#include "core/host_device.h"

namespace rcnn::kernels {

/// Whether four floats can be moved at once there. A null pointer is aligned.
RCNN_HOST_DEVICE inline bool aligned_to_16(const void* pointer) {
  return reinterpret_cast<uintptr_t>(pointer) % 16 == 0;
}

/// Whether rows of `size` values of four bytes can be moved four at a time: the size is a multiple of four
/// and every address is aligned.
inline bool four_at_a_time(int64_t size, std::initializer_list<const void*> pointers) {
  for (const void* pointer : pointers)
    if (!aligned_to_16(pointer)) return false;
  return size % 4 == 0;
}

}  // namespace rcnn::kernels
