#pragma once

#include <cstdint>

namespace rcnn::kernels {

/// Identifies the contents of a tensor that two ops read one after the other, such as the gradient that dw
/// and dx share: its storage, and how often that was written. With an id of 0 nothing is known.
struct ContentsKey {
  uint64_t id = 0, version = 0;
  bool operator==(const ContentsKey&) const = default;
};

/// Identifies the contents of the weights, for variants that keep a packed copy: which storage holds them,
/// and how often it was written. With an id of 0 the weights are packed every time.
struct WeightsKey {
  uint64_t id = 0, version = 0;
  uint64_t scale_id = 0, scale_version = 0;
  bool operator==(const WeightsKey&) const = default;
};

}  // namespace rcnn::kernels
