// --kernel OP=VARIANT.
#pragma once

#include <fmt/ranges.h>

#include <map>
#include <string>
#include <vector>

#include "core/error.h"
#include "kernels/ops.h"

namespace rcnn {

/// The help text of `--kernel`.
inline std::string kernel_help(const char* example) {
  return fmt::format("use this variant of an op: --kernel {}; the ops: {}", example,
                     fmt::join(kernels::op_families(), ", "));
}

/// {"conv2d=reference"} -> {conv2d: reference}. The variant's name is checked when the op runs.
inline std::map<std::string, std::string, std::less<>> parse_kernels(
    const std::vector<std::string>& choices) {
  std::map<std::string, std::string, std::less<>> kernels;
  for (const std::string& choice : choices) {
    const size_t equals = choice.find('=');
    check_input(equals != std::string::npos && equals > 0 && equals + 1 < choice.size(),
                "--kernel {}: expected OP=VARIANT, as in conv2d=reference", choice);
    const std::string op = choice.substr(0, equals);
    check_input(kernels::op_families().contains(op), "--kernel {}: no such op; there are {}", choice,
                fmt::join(kernels::op_families(), ", "));
    kernels[op] = choice.substr(equals + 1);
  }
  return kernels;
}

}  // namespace rcnn
