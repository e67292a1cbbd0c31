// What tests of packed operands share.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "core/bf16.h"
#include "core/cuda/device.h"
#include "kernels/gemm/packed_operand.h"
#include "kernels/op.h"

namespace rcnn::kernels {

inline std::vector<float> values_of(const Tensor& on_device) {
  const Tensor values = on_device.to(Device{});
  return {values.values<float>().begin(), values.values<float>().end()};
}

/// The bf16 values of a packed operand without padding.
inline std::vector<uint16_t> bits_of(const PackedOperand& packed) {
  const Tensor bytes = packed.values.to(Device{});
  std::vector<uint16_t> bits(bytes.bytes() / sizeof(uint16_t));
  if (!bits.empty()) std::memcpy(bits.data(), bytes.raw(), bytes.bytes());
  return bits;
}

inline std::vector<uint16_t> rounded(const Tensor& on_device) {
  std::vector<uint16_t> bits;
  for (const float value : values_of(on_device)) bits.push_back(to_bf16(value).bits);
  return bits;
}

inline bool lacks_tensor_cores(const Context& ctx) { return !cuda::is_simulated() && ctx.capability < 80; }

template <class Args>
void run_on(Context& ctx, Run<Args>& kernel, const Args& args) {
  const Workspace::Scope scope(ctx.workspace);
  kernel(ctx.stream, ctx.workspace, args);
}

}  // namespace rcnn::kernels
