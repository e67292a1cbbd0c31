#include <algorithm>

#include "core/parallel.h"
#include "kernels/gemm/epilogue.h"
#include "kernels/relu_math.h"

namespace rcnn::kernels {

template <class T>
void epilogue_backward_reference(const Stream&, Workspace&, const EpilogueBackwardArgs<T>& a) {
  for (int64_t c = 0; c < a.c; ++c) {
    T sum = 0;
    for (int64_t row = 0; row < a.rows; ++row) {
      const int64_t at = row * a.c + c;
      const T g = a.y ? relu_gradient(a.y[at], a.dy[at]) : a.dy[at];
      if (a.dz) a.dz[at] = a.scale ? a.scale[c] * g : g;
      if (a.dresidual) put(a.dresidual[at], g, a.accumulate_residual);
      sum += g;
    }
    if (a.dbias) put(a.dbias[c], sum, a.accumulate_bias);
  }
}

/// One pass in memory order: each chunk of rows sums its share of dbias, and the shares are added
/// in chunk order.
template <class T>
void epilogue_backward_row_chunks(const Stream&, Workspace& workspace, const EpilogueBackwardArgs<T>& a) {
  const int64_t grain = std::max<int64_t>(1, 65536 / std::max<int64_t>(1, a.c));
  const int64_t chunks = (a.rows + grain - 1) / grain;
  T* shares = a.dbias ? workspace.take<T>(chunks * a.c) : nullptr;
  parallel_chunks(chunks, [&](int64_t chunk) {
    T* share = shares ? shares + chunk * a.c : nullptr;
    if (share) std::fill(share, share + a.c, T(0));
    for (int64_t row = chunk * grain; row < std::min(a.rows, (chunk + 1) * grain); ++row) {
      const T* y = a.y ? a.y + row * a.c : nullptr;
      const T* dy = a.dy + row * a.c;
      if (a.dz && a.scale)
        for (int64_t c = 0; c < a.c; ++c)
          a.dz[row * a.c + c] = a.scale[c] * (y ? relu_gradient(y[c], dy[c]) : dy[c]);
      else if (a.dz)
        for (int64_t c = 0; c < a.c; ++c) a.dz[row * a.c + c] = y ? relu_gradient(y[c], dy[c]) : dy[c];
      if (a.dresidual && a.accumulate_residual == Accumulate::yes)
        for (int64_t c = 0; c < a.c; ++c)
          a.dresidual[row * a.c + c] += y ? relu_gradient(y[c], dy[c]) : dy[c];
      else if (a.dresidual)
        for (int64_t c = 0; c < a.c; ++c) a.dresidual[row * a.c + c] = y ? relu_gradient(y[c], dy[c]) : dy[c];
      if (share)
        for (int64_t c = 0; c < a.c; ++c) share[c] += y ? relu_gradient(y[c], dy[c]) : dy[c];
    }
  });
  if (!a.dbias) return;
  if (a.accumulate_bias == Accumulate::no) std::fill(a.dbias, a.dbias + a.c, T(0));
  for (int64_t chunk = 0; chunk < chunks; ++chunk)
    for (int64_t c = 0; c < a.c; ++c) a.dbias[c] += shares[chunk * a.c + c];
}

template Run<EpilogueBackwardArgs<float>> epilogue_backward_reference<float>;
template Run<EpilogueBackwardArgs<double>> epilogue_backward_reference<double>;
template Run<EpilogueBackwardArgs<float>> epilogue_backward_row_chunks<float>;

}  // namespace rcnn::kernels
