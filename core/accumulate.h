// How a gradient is delivered.
#pragma once

#include <cstdint>

namespace rcnn {

/// Whether a gradient is written, because it is the first contribution, or added to the previous ones.
enum class Accumulate : uint8_t { no, yes };

}  // namespace rcnn
