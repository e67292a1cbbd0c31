#include "models/fpn.h"

#include "layers/upsample_add.h"

namespace rcnn {

Fpn Fpn::make(Init& init, const std::vector<int64_t>& channels, int64_t width) {
  // torchvision: Kaiming-uniform with a = 1, biases 0.
  const auto conv = [&](int64_t inputs, int64_t size) {
    Conv2d layer;
    layer.weight = init.kaiming_uniform({width, size, size, inputs}, 1);
    layer.bias = init.constant({width}, 0);
    layer.options.pad = (size - 1) / 2;
    return layer;
  };
  Fpn fpn;
  for (const int64_t inputs : channels) {
    fpn.inner.push_back(conv(inputs, 1));
    fpn.outer.push_back(conv(width, 3));
    fpn.outer.back().packed = true;  // the RPN convolves it
  }
  fpn.inner.back().packed = true;  // the others are added to before they are convolved
  return fpn;
}

std::vector<Var> Fpn::operator()(Context& ctx, const std::vector<Var>& maps) const {
  check(maps.size() == inner.size(), "the feature pyramid has {} levels, but there are {} maps", inner.size(),
        maps.size());
  std::vector<Var> levels(maps.size());
  Var merged;
  for (size_t i = maps.size(); i-- > 0;) {
    const Var lateral = inner[i](ctx, maps[i]);
    merged = merged.defined() ? upsample_add(ctx, lateral, merged) : lateral;
    levels[i] = outer[i](ctx, merged);
  }
  return levels;
}

void Fpn::visit(ParamVisitor& visitor) {
  for (size_t i = 0; i < inner.size(); ++i) visitor.child(fmt::format("inner_blocks.{}.0", i), inner[i]);
  for (size_t i = 0; i < outer.size(); ++i) visitor.child(fmt::format("layer_blocks.{}.0", i), outer[i]);
}

}  // namespace rcnn
