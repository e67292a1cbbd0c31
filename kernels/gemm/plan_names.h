// Reading what plans (kernels/plans.h) know calls by: the other direction of plan_shape in conv2d.h and
// matmul.h.
#pragma once

#include <optional>
#include <string>
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

/// The cut of a kernel that shares its sums among so many blocks and has no other choice: "in 3". Reading it
/// back gives nothing for any other text, and for more than kMaxCutParts.
inline constexpr int kMaxCutParts = 264;
std::string cut_of_parts(int parts);
std::optional<int> parts_of_cut(std::string_view cut);

}  // namespace rcnn::kernels
