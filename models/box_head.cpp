#include "models/box_head.h"

#include "layers/dropout.h"

namespace rcnn {
namespace {

struct TwoFcHead : BoxHead {
  Linear fc6, fc7;
  float drop;

  TwoFcHead(const ModelConfig& config, Init& init, int64_t channels) : drop(config.box_dropout) {
    const int64_t pooled = config.box_pool_size, width = config.box_head_size;
    fc6 = Linear::make(init, pooled * pooled * channels, width);
    fc6.pooled = {pooled, pooled, channels};
    fc7 = Linear::make(init, width, width);
    fc6.packed = fc7.packed = drop == 0;  // else dropout reads them
    features = width;
  }
  Var operator()(Context& ctx, const Var& pooled) override {
    const Var flat = reshape(ctx, pooled, {pooled.dim(0), fc6.weight.dim(1)});
    const Var hidden = dropout(ctx, fc6(ctx, flat, true), drop, 6);
    return dropout(ctx, fc7(ctx, hidden, true), drop, 7);
  }
  void visit(ParamVisitor& visitor) override {
    visitor.child("fc6", fc6);
    visitor.child("fc7", fc7);
  }
};

}  // namespace

std::unique_ptr<BoxHead> make_two_fc_head(const ModelConfig& config, Init& init, int64_t channels) {
  return std::make_unique<TwoFcHead>(config, init, channels);
}

}  // namespace rcnn
