// What a layer knows of the operands of its products, for ops that are run outside of one.
#pragma once

#include "kernels/cases.h"
#include "kernels/gemm/packed_operand.h"

namespace rcnn {

/// The forms of a call's two operands that tensor cores read. In a step the layer that computes an operand
/// packs it, and all that read it find the form. Here the first run makes it, which is not timed.
struct KeptForms {
  kernels::PackedOperand first = {}, second = {};

  /// The forms belong to the call from now on, and must live as long. For calls on a GPU.
  template <class Args>
  void belong_to(Args& args) {
    if constexpr (requires { args.packed_x; }) args.packed_x = &first;
    if constexpr (requires { args.packed_g; }) args.packed_g = &second;
    if constexpr (requires { args.packed_a; }) args.packed_a = &first;
    if constexpr (requires { args.packed_b; }) args.packed_b = &second;
  }
};

}  // namespace rcnn
