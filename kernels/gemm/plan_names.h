// Reading what plans (kernels/plans.h) know calls by: the other direction of plan_shape in conv2d.h and
// matmul.h.
#pragma once

#include <string_view>

#include "kernels/gemm/conv2d.h"
#include "kernels/gemm/matmul.h"

namespace rcnn::kernels {

/// Fills in the sizes of a call from what plan_shape made of them. False, and nothing is filled in, for any
/// other text and for sizes that no call can have.
bool read_plan_shape(std::string_view text, Conv2dShape& shape);
bool read_plan_shape(std::string_view text, MatmulArgs<float>& a);
inline bool read_plan_shape(std::string_view text, Conv2dArgs<float>& a) {
  return read_plan_shape(text, a.shape);
}
inline bool read_plan_shape(std::string_view text, Conv2dDxArgs<float>& a) {
  return read_plan_shape(text, a.shape);
}
inline bool read_plan_shape(std::string_view text, Conv2dDwArgs<float>& a) {
  return read_plan_shape(text, a.shape);
}

}  // namespace rcnn::kernels
