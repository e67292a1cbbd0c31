#include "core/parallel.h"
#include "kernels/boxes/proposals_math.h"

namespace rcnn::kernels {

void proposals_reference(const Stream&, Workspace&, const ProposalsArgs& a) {
  const float* level_anchors[kMaxLevels];
  const float* next = a.anchors;
  for (int l = 0; l < a.levels; ++l) {
    level_anchors[l] = next;
    next += a.deltas[l].rows * 4;
  }
  parallel_for(a.n * a.levels * a.k, 256, [&](int64_t begin, int64_t end) {
    for (int64_t at = begin; at < end; ++at) {
      const int64_t n = at / (a.levels * a.k), l = at / a.k % a.levels, row = a.index[at];
      Proposal proposal{{0, 0, 0, 0}, 0, -1};
      if (row >= 0)
        proposal = make_proposal(a, n, static_cast<int>(l), row, load_box(level_anchors[l] + row * 4),
                                 a.deltas[l].data + (n * a.deltas[l].rows + row) * 4);
      store_box(a.boxes + at * 4, proposal.box);
      a.box_scores[at] = proposal.score;
      a.group[at] = proposal.group;
    }
  });
}

}  // namespace rcnn::kernels
