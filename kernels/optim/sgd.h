// Stochastic gradient descent with momentum and weight decay, and gradient clipping by the norm.
//
//     g = gradient_scale gradient + weight_decay weight
//     momentum = momentum_factor momentum + g
//     weight = weight - learning_rate rate_factor momentum
//
// Values that change from step to step are read from the op's device, so that no step waits for the host.
#pragma once

#include <limits>

#include "kernels/chunks.h"
#include "kernels/op.h"

namespace rcnn::kernels {

/// One parameter tensor with its gradient, momentum and settings.
struct SgdParameter {
  float* weight = nullptr;          // (size), read and written by sgd
  const float* gradient = nullptr;  // (size)
  float* momentum = nullptr;        // (size), read and written by sgd; 0 before the first step
  int64_t size = 0;
  float rate_factor = 1;  // multiplies the learning rate
  float weight_decay = 0;
  int64_t first_chunk = 0;  // number of chunks of the previous parameters: see number_chunks
};

struct SgdArgs {
  // (count), in the device's memory; no two of their tensors overlap.
  const SgdParameter* parameters = nullptr;
  int64_t count = 0, chunks = 0;          // of the parameters; see number_chunks
  const float* learning_rate = nullptr;   // one value
  float momentum = 0;                     // the momentum factor, such as 0.9
  const float* gradient_scale = nullptr;  // one value, from clip_gradients; null: 1
  const int32_t* skip = nullptr;          // one value: if not 0, nothing is changed; null: never skip
};

/// norm = the L2 norm of all gradients together; scale = min(1, max_norm / (norm + 1e-6)). If the norm is
/// not finite (because a gradient is not, or because the norm exceeds the range of float), skip is set to 1
/// and scale has no meaning.
struct ClipGradientsArgs {
  const SgdParameter* parameters = nullptr;  // (count), in the device's memory; only the gradients are read
  int64_t count = 0, chunks = 0;             // of the parameters; see number_chunks
  float max_norm = std::numeric_limits<float>::infinity();  // infinity: scale is 1
  float* norm = nullptr;                                    // one value
  float* scale = nullptr;                                   // one value, for SgdArgs::gradient_scale
  int32_t* skip = nullptr;  // one value, set to 1 or left unchanged; null: not needed
};

Run<SgdArgs> sgd_reference;
Run<ClipGradientsArgs> clip_gradients_reference;
/// CUDA: one block per chunk.
Run<SgdArgs> sgd_block_per_chunk;
Run<ClipGradientsArgs> clip_gradients_block_per_chunk;

// clang-format off
inline constexpr Technique<SgdArgs> sgd_techniques[] = {
    {"block_per_chunk", on_cuda, sgd_block_per_chunk},
    {"reference", on_cpu, sgd_reference},
};
// clang-format on
inline constexpr Op sgd{"sgd", "sgd", column<0>(sgd_techniques)};

// clang-format off
inline constexpr Technique<ClipGradientsArgs> clip_gradients_techniques[] = {
    {"block_per_chunk", on_cuda, clip_gradients_block_per_chunk},
    {"reference", on_cpu, clip_gradients_reference},
};
// clang-format on
inline constexpr Op clip_gradients{"clip_gradients", "clip_gradients", column<0>(clip_gradients_techniques)};

}  // namespace rcnn::kernels
