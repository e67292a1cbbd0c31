// Which device each of several processes on a machine takes.
#pragma once

#include <string>

#include "core/cuda/device.h"
#include "core/world.h"

namespace rcnn {

/// cuda::choose_device; but where `asked` ("auto", "cuda") leaves open which GPU, the ranks on a machine take
/// different ones, and the first one again if there are too few.
cuda::DeviceChoice choose_device(const std::string& asked, const World& world);

}  // namespace rcnn
