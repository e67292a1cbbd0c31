#include <cmath>

#include "kernels/optim/sgd.h"
#include "kernels/optim/sgd_math.h"

namespace rcnn::kernels {
namespace {

void step(int64_t n, const SgdRule& rule, const float* __restrict gradient, float* __restrict weight,
          float* __restrict momentum) {
  for (int64_t i = 0; i < n; ++i) sgd_step(rule, gradient[i], weight[i], momentum[i]);
}

/// The sum of the squares of x, added up in 16 lanes so that no addition waits for the one before it.
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

void sgd_reference(const Stream&, Workspace&, const SgdArgs& a) {
  if (a.skip && *a.skip != 0) return;
  const float scale = a.gradient_scale ? *a.gradient_scale : 1;
  for_chunks(a.parameters, a.count, a.chunks,
             [&](int64_t, const SgdParameter& p, int64_t begin, int64_t end) {
               const SgdRule rule{scale, p.weight_decay, a.momentum, *a.learning_rate * p.rate_factor};
               step(end - begin, rule, p.gradient + begin, p.weight + begin, p.momentum + begin);
             });
}

void clip_gradients_reference(const Stream&, Workspace& workspace, const ClipGradientsArgs& a) {
  double* shares = workspace.take<double>(a.chunks);
  for_chunks(a.parameters, a.count, a.chunks,
             [&](int64_t chunk, const SgdParameter& p, int64_t begin, int64_t end) {
               shares[chunk] = sum_of_squares(end - begin, p.gradient + begin);
             });
  double sum = 0;
  for (int64_t chunk = 0; chunk < a.chunks; ++chunk) sum += shares[chunk];
  *a.norm = static_cast<float>(std::sqrt(sum));
  *a.scale = clip_scale(*a.norm, a.max_norm);
  if (a.skip && !std::isfinite(*a.norm)) *a.skip = 1;
}

}  // namespace rcnn::kernels
