// Runs examples that were worked out by hand through every variant of an op that this machine can run.
#pragma once

#include "tests/kernels/verify.h"

namespace rcnn::kernels {

/// `given` adds an input with these values to the example, `result` an output. Both return the address of the
/// values.
template <class Args>
const float* given(Prepared<Args>& example, const std::vector<float>& values) {
  example.inputs.push_back(Tensor::of({static_cast<int64_t>(values.size())}, std::span<const float>(values)));
  return example.inputs.back().template data<float>();
}
template <class Args>
float* result(Prepared<Args>& example, const std::vector<float>& values) {
  example.outputs.push_back(
      Tensor::of({static_cast<int64_t>(values.size())}, std::span<const float>(values)));
  return example.outputs.back().template mutable_data<float>();
}

/// For each variant, makes the example, runs it, and calls expect(outputs) with the outputs as tensors.
template <class A, class A64, class Make, class Expect>
void each_result(const Op<A, A64>& op, Make make, Expect expect) {
  std::vector<Device> devices{{}};
  if (cuda::device_count() > 0) devices.push_back({DeviceType::cuda, 0});
  for (const Device& device : devices) {
    Context ctx(device);
    for (const auto& variant : op.variants) {
      const Prepared<A> example = make();
      if (!fits(ctx, variant, example.args)) continue;
      const std::string on = variant.name + (" on " + device.str());
      CAPTURE(on);
      expect(run_variant(ctx, variant, example));
    }
  }
}

/// The same for outputs of floats: calls expect(outputs) with their values.
template <class A, class A64, class Make, class Expect>
void hand_worked(const Op<A, A64>& op, Make make, Expect expect) {
  each_result(op, make, [&](const std::vector<Tensor>& results) {
    std::vector<std::vector<float>> outputs;
    for (const Tensor& output : results) {
      const auto values = output.values<float>();
      outputs.emplace_back(values.begin(), values.end());
    }
    expect(outputs);
  });
}

}  // namespace rcnn::kernels
