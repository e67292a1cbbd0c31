#pragma once

#include "data/dataset.h"

namespace rcnn {

/// Commands decode the images of a data set with at most this many, unless they are asked to do otherwise.
inline constexpr size_t kMaxDecoded = 5000;

/// Decodes every image of a dataset and adds a fault, in the order of the samples, for each that cannot be
/// decoded: the readers of annotations look at the headers only. Uses all threads.
void report_undecodable(Dataset& dataset);

}  // namespace rcnn
