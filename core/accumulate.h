// How a gradient is delivered.
#pragma once

#include <cstdint>

namespace rcnn {

/// Whether a gradient is written, because it is the first contribution, or added to what is there.
enum class Accumulate : uint8_t { no, yes };

}  // namespace rcnn
