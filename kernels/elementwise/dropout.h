// Dropout (Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting"): in
// training each element is 0 with the chance p, and what is kept grows by so much that the mean stays.
//
//     y[i] = x[i] / (1 - p)   where kept, else 0, whatever stands in x
#pragma once

#include "core/rng.h"
#include "kernels/op.h"

namespace rcnn::kernels {

/// What decides which elements are dropped: element i where philox(seed, dropout, step, layer, i), as a
/// number in [0, 1), is below p. Forward and backward draw the same, on every device.
struct DropoutKey {
  float p = 0;  // at least 0, below 1
  uint64_t seed = 0;
  const int32_t* step = nullptr;  // one value, on the device: a captured graph sees it change
  uint32_t layer = 0;             // which of the model's dropouts, and of the micro-batches

  /// What becomes of element i: of x, and of dy.
  template <class T>
  RCNN_HOST_DEVICE T operator()(T value, int64_t i) const {
    const uint32_t random =
        philox(seed, Purpose::dropout, static_cast<uint32_t>(*step), layer, static_cast<uint32_t>(i));
    return to_unit_float(random) < p ? T(0) : value / (T(1) - static_cast<T>(p));
  }
};

template <class T>
struct DropoutArgs {
  int64_t count = 0;     // fewer than 2^32
  const T* x = nullptr;  // (count)
  DropoutKey key = {};
  T* y = nullptr;  // (count); may be x
};

/// dx[i] = dy[i] / (1 - p) where kept, else 0.
template <class T>
struct DropoutBackwardArgs {
  int64_t count = 0;
  const T* dy = nullptr;  // (count)
  DropoutKey key = {};
  T* dx = nullptr;  // (count)
  Accumulate accumulate = Accumulate::no;
};

template <class T>
void dropout_reference(const Stream&, Workspace&, const DropoutArgs<T>& a);
template <class T>
void dropout_backward_reference(const Stream&, Workspace&, const DropoutBackwardArgs<T>& a);
Run<DropoutArgs<float>> dropout_thread_per_four;
Run<DropoutBackwardArgs<float>> dropout_backward_thread_per_four;

// clang-format off
inline constexpr RealTechnique<DropoutArgs, DropoutBackwardArgs> dropout_techniques[] = {
    {"thread_per_four", on_cuda, dropout_thread_per_four, dropout_backward_thread_per_four},
    {"reference", on_cpu, {dropout_reference<float>, dropout_reference<double>},
     {dropout_backward_reference<float>, dropout_backward_reference<double>}},
};
// clang-format on
inline constexpr Op dropout{"dropout", "dropout", column<0>(dropout_techniques)};
inline constexpr Op dropout_backward{"dropout_backward", "dropout", column<1>(dropout_techniques)};

}  // namespace rcnn::kernels
