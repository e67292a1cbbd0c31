// What the instructions that kernels are written with give, as raw words.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/device.h"

namespace rcnn {

/// What a device must give for an instruction.
enum class Rule {
  exact,    // its definition leaves no choice
  of_card,  // what a card gives: how its tensor cores round
  shown,    // not compared: the last bits of library functions
};

/// The results of one instruction.
struct Intrinsic {
  std::string name;
  Rule rule;
  std::vector<uint32_t> words;
};

/// Runs small kernels on a GPU (sm_80 or later) or on the simulated device.
std::vector<Intrinsic> run_intrinsics(Device device);

}  // namespace rcnn
