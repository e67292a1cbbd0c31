// The choice of a plan.
#include "kernels/gemm/mma_plan.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "core/cuda/cuda.h"
#include "kernels/gemm/gemm_output.h"
#include "kernels/plans.h"

namespace rcnn::kernels::mma {

namespace {

/// Calls f(plan, clocks) for each plan, with its time by the model.
template <class F>
void for_each_plan(int64_t m, int64_t n, int64_t chunks, int64_t products, const F& f) {
  struct Candidate {
    TileSize tile;
    int64_t m, n;
    double chunk;   // clocks that an SM spends on one chunk of one tile while other blocks fill the gaps
    double around;  // a block's start and end, in chunks
  };
  // Estimates. Smaller tiles read more shared memory for each multiplication. The largest reads least from
  // the second-level cache, but it is alone on an SM, so nothing hides its start and end.
  constexpr Candidate candidates[] = {{TileSize::m128n256, 128, 256, 1450, 6},
                                      {TileSize::m128n128, 128, 128, 800, 3},
                                      {TileSize::m128n64, 128, 64, 480, 3},
                                      {TileSize::m64n64, 64, 64, 300, 3}};
  constexpr int parts[] = {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, kMaxParts};
  constexpr double processors = kWantedBlocks / 2;
  constexpr double second_launch = 4000;    // clocks
  constexpr double bytes_per_clock = 1500;  // of device memory and second-level cache together

  for (const Candidate& candidate : candidates)
    for (const int count : parts) {
      if (count > 1 && count > chunks) break;
      const int64_t tiles = products * blocks_for(m, candidate.m) * blocks_for(n, candidate.n);
      const double blocks = std::ceil(static_cast<double>(tiles * count) / processors);  // on the busiest SM
      const double depth = std::ceil(static_cast<double>(chunks) / count) + candidate.around;
      double clocks = blocks * depth * candidate.chunk;
      if (count > 1)
        clocks +=
            second_launch + static_cast<double>(products * m * n) * 4 * (2 * count + 1) / bytes_per_clock;
      f(Plan{candidate.tile, count}, clocks);
    }
}

}  // namespace

Plan choose_plan(int64_t m, int64_t n, int64_t chunks, int64_t products) {
  Plan best;
  double best_clocks = std::numeric_limits<double>::infinity();
  for_each_plan(m, n, chunks, products, [&](const Plan& plan, double clocks) {
    if (clocks < best_clocks) best = plan, best_clocks = clocks;
  });
  return best;
}

std::vector<Plan> likely_plans(int64_t m, int64_t n, int64_t chunks, int64_t products) {
  constexpr size_t kMaxPlans = 16;
  std::vector<std::pair<double, Plan>> all;
  for_each_plan(m, n, chunks, products,
                [&](const Plan& plan, double clocks) { all.emplace_back(clocks, plan); });
  // Stable, so that the first is the one that choose_plan finds.
  std::ranges::stable_sort(all, {}, &std::pair<double, Plan>::first);
  std::vector<Plan> plans;
  for (const auto& [clocks, plan] : all)
    if (plans.size() < kMaxPlans && clocks <= 2 * all.front().first) plans.push_back(plan);
  return plans;
}

Plan plan_of_call(Workspace& workspace, int64_t m, int64_t n, int64_t chunks, int64_t products) {
  const CutOfCall& call = workspace.cache<CutOfCall>();
  if (call.offered)
    for (const Plan& plan : likely_plans(m, n, chunks, products)) call.offered->push_back(cut_of(plan));
  const std::optional<Plan> wanted = plan_of_cut(call.wanted);
  // Parts beyond the last chunk would sum nothing.
  return wanted && wanted->parts <= std::max<int64_t>(chunks, 1) ? *wanted
                                                                 : choose_plan(m, n, chunks, products);
}

}  // namespace rcnn::kernels::mma
