#include <fmt/format.h>

#include "cli/commands.h"
#include "data/image.h"
#include "kernels/gemm/winograd.h"
#include "train/checkpoint.h"

#ifndef RCNN_COMMIT
#define RCNN_COMMIT "unknown commit"
#endif

namespace rcnn {

std::string version_line() {
  // What the compiler was allowed to use everywhere. Of the SIMD kernels, which are compiled for several
  // instruction sets, the best for the processor runs.
#if defined(__AVX512F__)
  constexpr const char* instructions = "AVX-512";
#elif defined(__AVX2__)
  constexpr const char* instructions = "AVX2";
#elif defined(__aarch64__)
  constexpr const char* instructions = "NEON";
#else
  constexpr const char* instructions = "baseline";
#endif
#if defined(RCNN_CUDA_SIM)
  constexpr const char* gpu = "simulated CUDA";
#elif defined(RCNN_CUDA)
  constexpr const char* gpu = "CUDA for " RCNN_CUDA_ARCHS;
#else
  constexpr const char* gpu = "no CUDA";
#endif
  const char* kernels = kernels::winograd_kernels(4).front()->instruction_set;
  return fmt::format("rcnn {}, {}, {}, fmt {}.{}.{}, {} instructions, CPU kernels: {}, {}", RCNN_COMMIT,
                     numerics_description(), format_library_list(), FMT_VERSION / 10000,
                     FMT_VERSION / 100 % 100, FMT_VERSION % 100, instructions, kernels, gpu);
}

}  // namespace rcnn
