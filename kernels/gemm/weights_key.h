#pragma once

#include <cstdint>
#include <span>

#include "core/context.h"

namespace rcnn::kernels {

/// Identifies the contents of the weights, for variants that keep a packed copy: which storage holds them,
/// and how often it was written. With an id of 0 the weights are packed every time.
struct WeightsKey {
  uint64_t id = 0, version = 0;
  uint64_t scale_id = 0, scale_version = 0;
  bool operator==(const WeightsKey&) const = default;
};

/// On a GPU: packs again what the workspace keeps of these weights and has changed, in one launch. Otherwise
/// each op does so for its own when it meets them.
void renew_packed_weights(const Stream& stream, Workspace& workspace, std::span<const WeightsKey> weights);

}  // namespace rcnn::kernels
