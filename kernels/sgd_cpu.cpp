#include <algorithm>
#include <cmath>

#include "core/parallel.h"
#include "kernels/sgd.h"

namespace rcnn::kernels {
namespace {

constexpr int64_t kGrain = 1 << 15;  // elements in a chunk

int64_t chunks_of(const SgdParameter& parameter) { return (parameter.size + kGrain - 1) / kGrain; }

/// For every parameter the number of chunks before it, and behind the last the number of all.
int64_t* count_chunks(Workspace& workspace, const SgdParameter* parameters, int64_t count) {
  int64_t* before = workspace.take<int64_t>(count + 1);
  before[0] = 0;
  for (int64_t i = 0; i < count; ++i) before[i + 1] = before[i] + chunks_of(parameters[i]);
  return before;
}

/// Calls body(chunk, parameter, begin, end) for the chunks of all parameters, in one parallel pass, so that
/// the many small ones cost no start of threads each.
template <class F>
void for_chunks(const SgdParameter* parameters, int64_t count, const int64_t* before, F body) {
  parallel_chunks(before[count], [&](int64_t chunk) {
    const int64_t i = std::upper_bound(before, before + count + 1, chunk) - before - 1;
    const int64_t begin = (chunk - before[i]) * kGrain;
    body(chunk, parameters[i], begin, std::min(parameters[i].size, begin + kGrain));
  });
}

void step(int64_t n, const float* __restrict gradient, float scale, float decay, float keep, float rate,
          float* __restrict weight, float* __restrict momentum) {
  for (int64_t i = 0; i < n; ++i) {
    const float g = scale * gradient[i] + decay * weight[i];
    momentum[i] = keep * momentum[i] + g;
    weight[i] -= rate * momentum[i];
  }
}

/// The sum of the squares, in 16 lanes so that no addition waits for the one before it.
double sum_of_squares(int64_t n, const float* x) {
  constexpr int kLanes = 16;
  double lanes[kLanes] = {};
  const auto add = [&](int lane, float value) {
    lanes[lane] += static_cast<double>(value) * static_cast<double>(value);
  };
  const int64_t whole = n - n % kLanes;
  for (int64_t i = 0; i < whole; i += kLanes)
    for (int lane = 0; lane < kLanes; ++lane) add(lane, x[i + lane]);
  for (int64_t i = whole; i < n; ++i) add(0, x[i]);
  double sum = 0;
  for (const double lane : lanes) sum += lane;
  return sum;
}

}  // namespace

void sgd_reference(const Stream&, Workspace& workspace, const SgdArgs& a) {
  if (a.skip && *a.skip != 0) return;
  const float scale = a.gradient_scale ? *a.gradient_scale : 1;
  const int64_t* before = count_chunks(workspace, a.parameters, a.count);
  for_chunks(a.parameters, a.count, before, [&](int64_t, const SgdParameter& p, int64_t begin, int64_t end) {
    step(end - begin, p.gradient + begin, scale, p.weight_decay, a.momentum, *a.learning_rate * p.rate_factor,
         p.weight + begin, p.momentum + begin);
  });
}

void clip_gradients_reference(const Stream&, Workspace& workspace, const ClipGradientsArgs& a) {
  const int64_t* before = count_chunks(workspace, a.parameters, a.count);
  double* shares = workspace.take<double>(before[a.count]);
  for_chunks(a.parameters, a.count, before,
             [&](int64_t chunk, const SgdParameter& p, int64_t begin, int64_t end) {
               shares[chunk] = sum_of_squares(end - begin, p.gradient + begin);
             });
  double sum = 0;
  for (int64_t chunk = 0; chunk < before[a.count]; ++chunk) sum += shares[chunk];
  *a.norm = static_cast<float>(std::sqrt(sum));
  const float scale = a.max_norm / (*a.norm + 1e-6f);
  *a.scale = scale > 1 ? 1 : scale;
  if (a.skip && !std::isfinite(*a.norm)) *a.skip = 1;
}

}  // namespace rcnn::kernels
