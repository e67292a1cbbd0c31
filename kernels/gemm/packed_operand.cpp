#include "kernels/gemm/packed_operand.h"

#include "core/cuda/recorded_work.h"
#include "kernels/gemm/weights_key.h"

namespace rcnn::kernels {

PackedOperand* packed_operand(const Tensor& tensor) {
  if (!tensor.defined() || tensor.device().type != DeviceType::cuda) return nullptr;
  std::shared_ptr<PackedOperand>& kept = tensor.storage().packed;
  if (!kept) kept = std::make_shared<PackedOperand>();
  if (kept->version != tensor.version() || kept->runs != recorded_runs()) *kept = {};
  kept->version = tensor.version();
  kept->runs = recorded_runs();
  return kept.get();
}

#if !defined(RCNN_CUDA)
void renew_packed_weights(const Stream&, Workspace&, std::span<const WeightsKey>) {}
#endif

}  // namespace rcnn::kernels
