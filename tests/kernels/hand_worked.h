// Runs examples that were worked out by hand through every variant of an op that this machine can run.
#pragma once

#include "tests/kernels/verify.h"

namespace rcnn::kernels {

/// `given` adds an input that holds `values` to the example, and `result` an output. Both return its
/// elements.
template <class T = float, class Args>
const T* given(Prepared<Args>& example, const std::vector<T>& values) {
  example.inputs.push_back(Tensor::of({static_cast<int64_t>(values.size())}, std::span<const T>(values)));
  return example.inputs.back().template data<T>();
}
template <class T = float, class Args>
T* result(Prepared<Args>& example, const std::vector<T>& values) {
  example.outputs.push_back(Tensor::of({static_cast<int64_t>(values.size())}, std::span<const T>(values)));
  return example.outputs.back().template mutable_data<T>();
}
/// Adds an output of `count` elements that hold values which the op does not write.
template <class T, class Args>
T* poisoned(Prepared<Args>& example, int64_t count) {
  return Filler(1, Fill::normal).poisoned<T>(example.outputs, {count}).template mutable_data<T>();
}

/// The example that `make` creates. If `make` takes an argument, it fills in an example instead of returning
/// one.
template <class Args, class Make>
Prepared<Args> made(Make make) {
  if constexpr (std::is_invocable_v<Make>) {
    return make();
  } else {
    Prepared<Args> example;
    make(example);
    return example;
  }
}

/// The values of an output on the host.
inline std::vector<float> floats(const Tensor& output) {
  const auto values = output.values<float>();
  return {values.begin(), values.end()};
}
inline std::vector<int32_t> ints(const Tensor& output) {
  const auto values = output.values<int32_t>();
  return {values.begin(), values.end()};
}

/// For each variant, makes the example, runs it, and calls expect(outputs) with the outputs as tensors.
template <class A, class A64, class Make, class Expect>
void each_result(const Op<A, A64>& op, Make make, Expect expect) {
  std::vector<Device> devices{{}};
  if (cuda::device_count() > 0) devices.push_back({DeviceType::cuda, 0});
  for (const Device& device : devices) {
    Context ctx(device);
    for (const auto& variant : op.variants) {
      const Prepared<A> example = made<A>(make);
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
    for (const Tensor& output : results) outputs.push_back(floats(output));
    expect(outputs);
  });
}

}  // namespace rcnn::kernels
