// Runs hand-worked examples of an op through every variant of its table.
#pragma once

#include <doctest/doctest.h>

#include "kernels/op.h"

namespace rcnn::kernels {

/// Runs each variant for the CPU that supports `args`, and calls `expect()` after it.
template <class Args, class Expect>
void each_variant(const Op<Args>& op, const Args& args, Expect expect) {
  Context ctx;
  for (const Variant<Args>& variant : op.variants) {
    if (!variant.run || variant.backend.device != DeviceType::cpu) continue;
    if (variant.supports && !variant.supports(args)) continue;
    CAPTURE(variant.name);
    const Workspace::Scope scope(ctx.workspace);
    variant.run(ctx.stream, ctx.workspace, args);
    expect();
  }
}

}  // namespace rcnn::kernels
