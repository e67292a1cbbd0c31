// How a kernel runs on the CPU: every thread of a block is a fiber, blocks run one after another.
//
// A thread runs until it reaches a barrier or a warp operation; then another one continues, which the order
// in the settings chooses. A kernel that relies on a particular order therefore fails when it is run in
// several orders.
#pragma once

#include <string_view>

#include "core/cuda/sim/device_code.h"

namespace rcnn::cuda_sim {

/// Runs a whole launch. Returns false after a fault, whose message `fault()` then returns.
bool run_launch(const Launch& launch);

/// Keeps the message of a fault unless there is one already.
void report_fault(const std::string& sentence);

/// Why a launch of this shape would be refused; "" if it would not be.
std::string refused(const Launch& launch);

}  // namespace rcnn::cuda_sim
