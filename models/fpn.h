// Feature pyramid network (Lin et al. 2017): maps with the same number of channels at every scale, into
// each of which the coarser ones are merged.
#pragma once

#include <vector>

#include "layers/conv2d.h"

namespace rcnn {

struct Fpn {
  std::vector<Conv2d> inner;  // 1x1: lateral
  std::vector<Conv2d> outer;  // 3x3: on the merged map

  static Fpn make(Init& init, const std::vector<int64_t>& channels, int64_t width);
  /// Maps of the backbone, finest first -> as many maps with `width` channels.
  std::vector<Var> operator()(Context& ctx, const std::vector<Var>& maps) const;
  void visit(ParamVisitor& visitor);
};

}  // namespace rcnn
