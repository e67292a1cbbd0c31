// Dropout (Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting"): in
// training each element becomes 0 with probability p, and the others grow so that the mean stays the same.
//
//     y[i] = x[i] / (1 - p) if element i is kept; otherwise 0, even if x[i] is NaN
#pragma once

#include "core/rng.h"
#include "kernels/op.h"

namespace rcnn::kernels {

/// Decides which elements are dropped: element i is dropped if philox(seed, dropout, step, layer, i), as a
/// number in [0, 1), is below p. Forward and backward draw the same numbers, on every device.
struct DropoutKey {
  float p = 0;  // at least 0, below 1
  uint64_t seed = 0;
  const int32_t* step = nullptr;  // one value, on the device: a captured graph sees it change
  uint32_t layer = 0;             // identifies the dropout in the model and the batch in the step

  /// Element i after dropout.
  template <class T>
  RCNN_HOST_DEVICE T operator()(T value, int64_t i) const {
    const uint32_t random =
        philox(seed, Purpose::dropout, static_cast<uint32_t>(*step), layer, static_cast<uint32_t>(i));
    return to_unit_float(random) < p ? T(0) : value / (T(1) - static_cast<T>(p));
  }
};

/// Forward computes y from x. Backward is the same op, applied to dy: dx[i] = dy[i] / (1 - p) if element i is
/// kept, otherwise 0.
template <class T>
struct DropoutArgs {
  int64_t count = 0;     // fewer than 2^32
  const T* x = nullptr;  // (count)
  DropoutKey key = {};
  T* y = nullptr;  // (count); may be x
  Accumulate accumulate = Accumulate::no;
};

template <class T>
void dropout_reference(const Stream&, Workspace&, const DropoutArgs<T>& a);
Run<DropoutArgs<float>> dropout_thread_per_four;

inline constexpr RealTechnique<DropoutArgs> dropout_techniques[] = {
    {"thread_per_four", on_cuda, dropout_thread_per_four},
    {"reference", on_cpu, {dropout_reference<float>, dropout_reference<double>}},
};
inline constexpr Op dropout{"dropout", "dropout", column<0>(dropout_techniques)};

}  // namespace rcnn::kernels
