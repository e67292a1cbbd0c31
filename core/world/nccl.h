// NCCL, NVIDIA's library for messages between GPUs, as the link of World::exchange_on. Compiled with CUDA
// where its header is found (NCCL=auto|0|1), and opened when it is first used.
//
// Only sends and receives are used: its sums have other bits for another number of ranks.
#pragma once

#include <memory>
#include <string>

#include "core/device.h"
#include "core/world.h"

namespace rcnn {

/// Why NCCL cannot be used here, as a sentence; "" if it can.
std::string why_no_nccl();
/// The name of a GPU that is the same in all processes of its machine: "0000:41:00.0".
std::string nccl_name_of(Device gpu);
/// Connects the ranks, each with its GPU, and no two with the same one. Every rank must call it. Throws
/// LostRank if one does not come, Error if NCCL fails.
std::unique_ptr<World::DeviceLink> make_nccl_link(World& world, Device gpu);
/// "NCCL 2.28.9", of the header; "" if this build has none.
std::string nccl_description();

}  // namespace rcnn
