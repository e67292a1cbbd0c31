#include <algorithm>

#include "core/parallel.h"
#include "kernels/norm/norm_math.h"
#include "kernels/norm/scale_shift.h"

namespace rcnn::kernels {
namespace {

/// Rows a thread takes at a time: about 32k values.
int64_t rows_at_a_time(int64_t c) { return std::max<int64_t>(1, (1 << 15) / c); }

}  // namespace

template <class T>
void scale_shift_reference(const Stream&, Workspace&, const ScaleShiftArgs<T>& a) {
  parallel_for(a.rows, rows_at_a_time(a.c), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      for (int64_t c = 0; c < a.c; ++c) {
        const int64_t at = row * a.c + c;
        const T y = a.scale[c] * a.x[at] + a.shift[c] + (a.residual ? a.residual[at] : T(0));
        a.y[at] = a.relu ? rectified(y) : y;
      }
  });
}

template <class T>
void scale_shift_backward_reference(const Stream&, Workspace&, const ScaleShiftBackwardArgs<T>& a) {
  parallel_for(a.rows, rows_at_a_time(a.c), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      for (int64_t c = 0; c < a.c; ++c) {
        const int64_t at = row * a.c + c;
        const T g = a.relu ? gated(a.y[at], a.dy[at]) : a.dy[at];
        if (a.dx) put(a.dx[at], a.scale[c] * g, a.accumulate);
        if (a.dresidual) put(a.dresidual[at], g, a.accumulate_residual);
      }
  });
}

template void scale_shift_reference(const Stream&, Workspace&, const ScaleShiftArgs<float>&);
template void scale_shift_reference(const Stream&, Workspace&, const ScaleShiftArgs<double>&);
template void scale_shift_backward_reference(const Stream&, Workspace&, const ScaleShiftBackwardArgs<float>&);
template void scale_shift_backward_reference(const Stream&, Workspace&,
                                             const ScaleShiftBackwardArgs<double>&);

}  // namespace rcnn::kernels
