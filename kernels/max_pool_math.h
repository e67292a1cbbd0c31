// The rule by which a maximum is chosen, shared by max pooling and RoI pooling.
#pragma once

#include "core/host_device.h"

namespace rcnn::kernels {

/// Whether `candidate`, met after `best`, takes its place: of equal values the first stays; a NaN wins over
/// every number, so that it shows in the output.
template <class T>
RCNN_HOST_DEVICE inline bool exceeds(T candidate, T best) {
  return candidate > best || candidate != candidate;
}

}  // namespace rcnn::kernels
