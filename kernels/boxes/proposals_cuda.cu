#include "kernels/boxes/box_access.h"
#include "kernels/boxes/proposals_math.h"

namespace rcnn::kernels {
namespace {

constexpr int kThreads = 256;

/// Decodes, clips and filters the anchors, one thread per proposal. Bottleneck: memory; on GPUs with few
/// double-precision units, the exponentials.
__global__ void proposals_kernel(ProposalsArgs a) {
  const int64_t at = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (at >= a.n * a.levels * a.k) return;
  // 32-bit divisions suffice: there are fewer than 2^31 proposals.
  const uint32_t list = static_cast<uint32_t>(at) / static_cast<uint32_t>(a.k);
  const int64_t n = list / static_cast<uint32_t>(a.levels);
  const int level = static_cast<int>(list % static_cast<uint32_t>(a.levels));
  const int64_t row = a.index[at];
  Proposal proposal{{0, 0, 0, 0}, 0, -1};
  if (row >= 0) {
    int64_t anchor = row;
    for (int l = 0; l < level; ++l) anchor += a.deltas[l].rows;
    const float4 delta = load_aligned(a.deltas[level].data + (n * a.deltas[level].rows + row) * 4);
    const float deltas[4] = {delta.x, delta.y, delta.z, delta.w};
    proposal = make_proposal(a, n, level, row, load_aligned_box(a.anchors + anchor * 4), deltas);
  }
  store_aligned_box(a.boxes + at * 4, proposal.box);
  a.box_scores[at] = proposal.score;
  a.group[at] = proposal.group;
}

}  // namespace

void proposals_thread_per_proposal(const Stream& stream, Workspace&, const ProposalsArgs& a) {
  check_box_alignment("proposals", {a.anchors, a.boxes});
  for (int l = 0; l < a.levels; ++l) check_box_alignment("proposals", {a.deltas[l].data});
  launch<proposals_kernel>(stream, blocks_for(a.n * a.levels * a.k, kThreads), kThreads, 0, a);
}

}  // namespace rcnn::kernels
