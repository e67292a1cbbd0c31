#include <fmt/format.h>

#include "cli/commands.h"
#include "core/world.h"
#include "core/world/gloo.h"
#include "core/world/nccl.h"
#include "data/image.h"
#include "train/checkpoint.h"

#ifndef RCNN_COMMIT
#define RCNN_COMMIT "unknown commit"
#endif

namespace rcnn {

std::string commit_name() { return RCNN_COMMIT; }

std::string version_line() {
  // What the compiler was allowed to use everywhere. The SIMD kernels, of which numerics_description() says
  // which run, are compiled for several instruction sets.
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
  std::string ranks;
  for (const std::string& library : {mpi_description(), gloo_description(), nccl_description()})
    if (!library.empty()) ranks += library + ", ";
  return fmt::format("rcnn {}, {}, {}, {}fmt {}.{}.{}, built for {}, {}", RCNN_COMMIT, numerics_description(),
                     format_library_list(), ranks, FMT_VERSION / 10000, FMT_VERSION / 100 % 100,
                     FMT_VERSION % 100, instructions, gpu);
}

}  // namespace rcnn
