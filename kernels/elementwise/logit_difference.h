// Turns the scores of two classes into one logit. The region proposal network of py-faster-rcnn scores every
// anchor as background and as object, and the softmax over the two scores is the sigmoid of their difference.
//
//     y[r, a] = x[r, A + a] - x[r, a]
//
// A row of x has the A scores of background, followed by the A scores of object.
#pragma once

#include "kernels/op.h"

namespace rcnn::kernels {

template <class T>
struct LogitDifferenceArgs {
  int64_t rows = 0, a = 0;  // N H W rows, A anchors per cell
  const T* x = nullptr;     // (rows, 2 A)
  T* y = nullptr;           // (rows, A)
};

/// dx[r, a] = -dy[r, a], dx[r, A + a] = dy[r, a].
template <class T>
struct LogitDifferenceBackwardArgs {
  int64_t rows = 0, a = 0;
  const T* dy = nullptr;  // (rows, A)
  T* dx = nullptr;        // (rows, 2 A)
  Accumulate accumulate = Accumulate::no;
};

template <class T>
void logit_difference_reference(const Stream&, Workspace&, const LogitDifferenceArgs<T>& a);
template <class T>
void logit_difference_backward_reference(const Stream&, Workspace&, const LogitDifferenceBackwardArgs<T>& a);

Run<LogitDifferenceArgs<float>> logit_difference_thread_per_four_anchors;
Run<LogitDifferenceBackwardArgs<float>> logit_difference_backward_thread_per_four_anchors;

// clang-format off
inline constexpr RealTechnique<LogitDifferenceArgs, LogitDifferenceBackwardArgs> logit_difference_techniques[] = {
    {"thread_per_four_anchors", on_cuda, logit_difference_thread_per_four_anchors,
     logit_difference_backward_thread_per_four_anchors},
    {"reference", on_cpu, {logit_difference_reference<float>, logit_difference_reference<double>},
     {logit_difference_backward_reference<float>, logit_difference_backward_reference<double>}},
};
// clang-format on
inline constexpr Op logit_difference{"logit_difference", "logit_difference",
                                     column<0>(logit_difference_techniques)};
inline constexpr Op logit_difference_backward{"logit_difference_backward", "logit_difference",
                                              column<1>(logit_difference_techniques)};

}  // namespace rcnn::kernels
