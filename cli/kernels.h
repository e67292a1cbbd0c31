// --kernel OP=VARIANT.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/error.h"

namespace rcnn {

/// {"conv2d=reference"} -> {conv2d: reference}. Names are checked where the op runs.
inline std::map<std::string, std::string, std::less<>> parse_kernels(
    const std::vector<std::string>& choices) {
  std::map<std::string, std::string, std::less<>> kernels;
  for (const std::string& choice : choices) {
    const size_t equals = choice.find('=');
    check_input(equals != std::string::npos && equals > 0 && equals + 1 < choice.size(),
                "--kernel {}: expected OP=VARIANT, as in conv2d=reference", choice);
    kernels[choice.substr(0, equals)] = choice.substr(equals + 1);
  }
  return kernels;
}

}  // namespace rcnn
