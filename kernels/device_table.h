#pragma once

#include <cstring>
#include <span>

#include "core/tensor.h"

namespace rcnn::kernels {

/// A table of plain structs in the memory of the device whose kernels read it. It is copied there only when
/// it has changed: most steps have the table of the step before.
template <class Entry>
class DeviceTable {
 public:
  const Entry* copy_to(Device device, std::span<const Entry> entries) {
    const Tensor now = bytes_of(entries);
    if (!host_.defined() || host_.bytes() != now.bytes() ||
        std::memcmp(host_.raw(), now.raw(), now.bytes()) != 0) {
      on_device_ = now.to(device);
      host_ = now;
    }
    return static_cast<const Entry*>(on_device_.raw());
  }

 private:
  Tensor host_, on_device_;
};

}  // namespace rcnn::kernels
