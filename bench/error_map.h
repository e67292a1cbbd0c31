// A picture of where a result is wrong.
#pragma once

#include <vector>

#include "core/tensor.h"
#include "data/image.h"

namespace rcnn {

/// One cell for each element, coloured by its error as a multiple of the error that is allowed (`bound`; if
/// it is empty, none is): grey if it is equal, green within the bound, yellow to red beyond it, magenta where
/// a NaN was found instead of a number, or a number instead of a NaN.
///
/// A matrix is drawn as it is. (N, H, W, C) is N maps of H x W cells, side by side; a cell shows its worst
/// channel. Maps of one cell are drawn as one matrix (N, C). Large results are reduced: a cell then shows the
/// worst of several elements. Both tensors have the same shape, on the host.
Image error_map(const Tensor& found, const Tensor& expected, const std::vector<double>& bound);

}  // namespace rcnn
