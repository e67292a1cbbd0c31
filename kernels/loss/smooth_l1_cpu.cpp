#include "kernels/loss/label_segments.h"
#include "kernels/loss/loss_math.h"
#include "kernels/loss/smooth_l1.h"

namespace rcnn::kernels {
namespace {

/// The index of the four deltas that take part in the loss, in row `row` of a level whose label is `label`.
template <class Args>
int64_t offsets_at(const Args& a, int64_t row, int32_t label) {
  check(a.columns == 1 || label < a.columns, "smooth_l1: label {}, but there are {} columns", label,
        a.columns);
  return (row * a.columns + (a.columns == 1 ? 0 : label)) * 4;
}

}  // namespace

template <class T>
void smooth_l1_reference(const Stream&, Workspace& workspace, const SmoothL1Args<T>& a) {
  const int64_t size = a.n * total_rows(a.prediction, a.levels);
  const LossShare all = sum_shares(workspace, size, [&](int64_t begin, int64_t end) {
    LossShare share;
    share.count = count_labels(a.labels + begin, end - begin);
    for_segments(a.prediction, a.levels, begin, end, [&](const LabelSegment& s) {
      for (int64_t i = 0; i < s.count; ++i) {
        const int32_t label = a.labels[s.label + i];
        if (label <= 0) continue;
        const T* prediction = a.prediction[s.level].data + offsets_at(a, s.row + i, label);
        const float* target = a.targets + (s.label + i) * 4;
        for (int k = 0; k < 4; ++k)
          share.sum += static_cast<double>(
              smooth_l1_term(prediction[k] - static_cast<T>(target[k]), static_cast<T>(a.beta)));
      }
    });
    return share;
  });
  *a.loss = static_cast<T>(all.sum / divisor(all.count));
}

template <class T>
void smooth_l1_backward_reference(const Stream&, Workspace&, const SmoothL1BackwardArgs<T>& a) {
  const int64_t size = a.n * total_rows(a.prediction, a.levels);
  const T scale = *a.dloss / static_cast<T>(divisor(count_labels(a.labels, size)));
  parallel_for(size, kLabelGrain, [&](int64_t begin, int64_t end) {
    for_segments(a.prediction, a.levels, begin, end, [&](const LabelSegment& s) {
      T* gradient = a.dprediction[s.level].data;
      if (!gradient) return;
      if (a.accumulate[s.level] == Accumulate::no)
        std::fill_n(gradient + s.row * a.columns * 4, s.count * a.columns * 4, T(0));
      for (int64_t i = 0; i < s.count; ++i) {
        const int32_t label = a.labels[s.label + i];
        if (label <= 0) continue;
        const int64_t at = offsets_at(a, s.row + i, label);
        const T* prediction = a.prediction[s.level].data + at;
        const float* target = a.targets + (s.label + i) * 4;
        for (int k = 0; k < 4; ++k)
          gradient[at + k] +=
              scale * smooth_l1_slope(prediction[k] - static_cast<T>(target[k]), static_cast<T>(a.beta));
      }
    });
  });
}

template Run<SmoothL1Args<float>> smooth_l1_reference<float>;
template Run<SmoothL1Args<double>> smooth_l1_reference<double>;
template Run<SmoothL1BackwardArgs<float>> smooth_l1_backward_reference<float>;
template Run<SmoothL1BackwardArgs<double>> smooth_l1_backward_reference<double>;

}  // namespace rcnn::kernels
