#include "core/context.h"

#include <algorithm>

#include "core/cuda/device.h"

namespace rcnn {

Context::Context(Device where)
    : device(where),
      stream(where.type == DeviceType::cuda ? cuda::work_stream(where) : Stream{where}),
      capability(where.type == DeviceType::cuda ? cuda::device_info(where.index).capability : 0),
      workspace(where),
      step(Tensor::zeros({}, DType::i32, where)) {}

Workspace::~Workspace() = default;

void* Workspace::take_bytes(size_t bytes) {
  constexpr size_t kAlignment = 64, kSmallestBlock = size_t{1} << 20;
  if (device_.type == DeviceType::cuda && cuda::is_simulated()) {
    // Every request gets its own memory, so that the simulation notices a write past its end.
    blocks_.push_back(std::make_unique<Storage>(device_, bytes));
    ++block_;
    return blocks_.back()->data;
  }
  const size_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  // An op may hold pointers into the blocks, so they never move: a request that does not fit opens a new one.
  while (block_ < blocks_.size() && used_ + rounded > blocks_[block_]->bytes) {
    ++block_;
    used_ = 0;
  }
  if (block_ == blocks_.size()) {
    const size_t last = blocks_.empty() ? 0 : blocks_.back()->bytes;
    blocks_.push_back(std::make_unique<Storage>(device_, std::max({rounded, 2 * last, kSmallestBlock})));
    used_ = 0;
  }
  void* memory = blocks_[block_]->data + used_;
  used_ += rounded;
  return memory;
}

void Workspace::rewind(size_t block, size_t used) {
  if (device_.type == DeviceType::cuda && cuda::is_simulated()) blocks_.resize(block);
  block_ = block;
  used_ = used;
  // With nothing in use, keep only the largest block: the next op of this size then fits without opening
  // another.
  if (block_ == 0 && used_ == 0 && blocks_.size() > 1) blocks_.erase(blocks_.begin(), blocks_.end() - 1);
}

}  // namespace rcnn
