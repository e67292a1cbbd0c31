// Box heads compute the features of a RoI from its pooled map. Its class and deltas are predicted from them.
#pragma once

#include <memory>

#include "layers/linear.h"
#include "models/config.h"

namespace rcnn {

struct BoxHead {
  virtual ~BoxHead() = default;
  /// pooled (RoIs, PH, PW, C) -> (RoIs, features).
  virtual Var operator()(Context& ctx, const Var& pooled) = 0;
  virtual void visit(ParamVisitor& visitor) = 0;

  int64_t features = 0;
};

/// Two fully connected layers of `box-head-size` outputs (torchvision's TwoMLPHead, VGG16's fc6 and fc7),
/// each followed by dropout unless `box-dropout` is 0.
std::unique_ptr<BoxHead> make_two_fc_head(const ModelConfig& config, Init& init, int64_t channels);

}  // namespace rcnn
