#include "kernels/loss/label_segments.h"
#include "kernels/loss/loss_math.h"
#include "kernels/loss/sigmoid_cross_entropy.h"

namespace rcnn::kernels {

template <class T>
void sigmoid_cross_entropy_reference(const Stream&, Workspace& workspace,
                                     const SigmoidCrossEntropyArgs<T>& a) {
  const int64_t size = a.n * total_rows(a.logits, a.levels);
  const LossShare all = sum_shares(workspace, size, [&](int64_t begin, int64_t end) {
    LossShare share;
    for_segments(a.logits, a.levels, begin, end, [&](const LabelSegment& s) {
      const T* x = a.logits[s.level].data + s.row;
      for (int64_t i = 0; i < s.count; ++i) {
        const int32_t label = a.labels[s.label + i];
        if (label < 0) continue;
        share.sum += static_cast<double>(sigmoid_cross_entropy_term(x[i], static_cast<T>(label)));
        ++share.count;
      }
    });
    return share;
  });
  *a.loss = static_cast<T>(all.sum / divisor(all.count));
}

template <class T>
void sigmoid_cross_entropy_backward_reference(const Stream&, Workspace&,
                                              const SigmoidCrossEntropyBackwardArgs<T>& a) {
  const int64_t size = a.n * total_rows(a.logits, a.levels);
  const T scale = *a.dloss / static_cast<T>(divisor(count_labels(a.labels, size)));
  parallel_for(size, kLabelGrain, [&](int64_t begin, int64_t end) {
    for_segments(a.logits, a.levels, begin, end, [&](const LabelSegment& s) {
      if (!a.dlogits[s.level].data) return;
      const Accumulate accumulate = a.accumulate[s.level];
      const T* x = a.logits[s.level].data + s.row;
      T* dx = a.dlogits[s.level].data + s.row;
      if (accumulate == Accumulate::no) std::fill(dx, dx + s.count, T(0));
      for (int64_t i = 0; i < s.count; ++i) {
        const int32_t label = a.labels[s.label + i];
        if (label >= 0) dx[i] += scale * (sigmoid(x[i]) - static_cast<T>(label));
      }
    });
  });
}

template Run<SigmoidCrossEntropyArgs<float>> sigmoid_cross_entropy_reference<float>;
template Run<SigmoidCrossEntropyArgs<double>> sigmoid_cross_entropy_reference<double>;
template Run<SigmoidCrossEntropyBackwardArgs<float>> sigmoid_cross_entropy_backward_reference<float>;
template Run<SigmoidCrossEntropyBackwardArgs<double>> sigmoid_cross_entropy_backward_reference<double>;

}  // namespace rcnn::kernels
