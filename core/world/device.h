// Which device each of several processes on a machine takes, and how their GPUs exchange memory.
#pragma once

#include <string>
#include <vector>

#include "core/cuda/device.h"
#include "core/world.h"

namespace rcnn {

/// cuda::choose_device; but where `asked` ("auto", "cuda") leaves open which GPU, the ranks on a machine take
/// different ones, and the first one again if there are too few.
cuda::DeviceChoice choose_device(const std::string& asked, const World& world);

/// What a rank has for an exchange from GPU to GPU.
struct LinkEnd {
  std::string gpu;      // which of its machine, whatever the process calls it; "" on the CPU
  std::string missing;  // why it cannot take part, as a sentence; "" if it can
};
/// Why ranks with these ends, one of each rank, have to exchange memory of GPUs through that of the host; ""
/// if they need not. NCCL refuses two ranks on one GPU.
std::string why_not_linked(const World& world, const std::vector<LinkEnd>& ends);

/// Links the GPUs of all ranks with NCCL if they all can, unless they are linked. Every rank must call it
/// with its device. Returns what was chosen and why, as a line for people; "" if there is nothing to choose.
std::string link_gpus(World& world, Device device);

}  // namespace rcnn
