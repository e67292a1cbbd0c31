// The instruction sets for which SIMD kernels are compiled.
#pragma once

#include <vector>

#if defined(__x86_64__) && !defined(__clang__)
#define RCNN_SIMD_X86  // clang does not know `#pragma GCC target`
#endif

namespace rcnn::kernels {

/// Of a table for AVX-512, one for AVX2 and one for any processor: those that this processor can run, the
/// best one first.
template <const auto* avx512, const auto* avx2, const auto* baseline>
auto for_instruction_sets() {
  std::vector<decltype(baseline)> found;
#if defined(RCNN_SIMD_X86)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw"))
    found.push_back(avx512);
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) found.push_back(avx2);
#endif
  found.push_back(baseline);
  return found;
}

}  // namespace rcnn::kernels
