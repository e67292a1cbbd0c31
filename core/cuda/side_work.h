// What cuda::SideWork (core/cuda/device.h) puts in the place of a device's work stream and its arena.
#pragma once

#include <memory>

#include "core/cuda/device.h"

namespace rcnn::cuda {

struct Side {
  explicit Side(Device device) : stream(device), arena(std::make_shared<Arena>(device, !is_simulated())) {}
  OwnedStream stream;
  std::shared_ptr<Arena> arena;
};

/// That of this thread's SideWork, if it is one on this device; otherwise null.
const Side* side_of_thread(Device device);

}  // namespace rcnn::cuda
