#include <algorithm>
#include <cmath>

#include "core/parallel.h"
#include "kernels/loss/label_segments.h"
#include "kernels/loss/softmax_cross_entropy.h"

namespace rcnn::kernels {
namespace {

/// log sum_k exp(x[k]). The maximum is subtracted first, so that nothing overflows.
template <class T>
T log_sum_exp(const T* x, int64_t c) {
  const T largest = *std::max_element(x, x + c);
  T sum = 0;
  for (int64_t k = 0; k < c; ++k) sum += std::exp(x[k] - largest);
  return largest + std::log(sum);
}

}  // namespace

template <class T>
void softmax_cross_entropy_reference(const Stream&, Workspace& workspace,
                                     const SoftmaxCrossEntropyArgs<T>& a) {
  const LossShare all = sum_shares(workspace, a.rows, [&](int64_t begin, int64_t end) {
    LossShare share;
    for (int64_t row = begin; row < end; ++row) {
      const int32_t label = a.labels[row];
      if (label < 0) continue;
      check(label < a.c, "softmax_cross_entropy: label {} in row {}, but there are {} classes", label, row,
            a.c);
      const T* x = a.logits + row * a.c;
      share.sum += static_cast<double>(log_sum_exp(x, a.c) - x[label]);
      ++share.count;
    }
    return share;
  });
  *a.loss = static_cast<T>(all.sum / divisor(all.count));
}

template <class T>
void softmax_cross_entropy_backward_reference(const Stream&, Workspace&,
                                              const SoftmaxCrossEntropyBackwardArgs<T>& a) {
  const T scale = *a.dloss / static_cast<T>(divisor(count_labels(a.labels, a.rows)));
  parallel_for(a.rows, 64, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T* x = a.logits + row * a.c;
      T* dx = a.dlogits + row * a.c;
      if (a.labels[row] < 0) {
        if (a.accumulate == Accumulate::no) std::fill(dx, dx + a.c, T(0));
        continue;
      }
      const T log_sum = log_sum_exp(x, a.c);
      for (int64_t k = 0; k < a.c; ++k) {
        const T target = k == a.labels[row] ? T(1) : T(0);
        put(dx[k], scale * (std::exp(x[k] - log_sum) - target), a.accumulate);
      }
    }
  });
}

template Run<SoftmaxCrossEntropyArgs<float>> softmax_cross_entropy_reference<float>;
template Run<SoftmaxCrossEntropyArgs<double>> softmax_cross_entropy_reference<double>;
template Run<SoftmaxCrossEntropyBackwardArgs<float>> softmax_cross_entropy_backward_reference<float>;
template Run<SoftmaxCrossEntropyBackwardArgs<double>> softmax_cross_entropy_backward_reference<double>;

}  // namespace rcnn::kernels
