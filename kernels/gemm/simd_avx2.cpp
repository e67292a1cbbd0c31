// The CPU's convolutions (kernels/gemm/winograd.h, kernels/gemm/panel_conv.h) for processors with AVX2 and
// FMA.
//
// What is included before the pragma is compiled for the build's instruction set, as it is everywhere else:
// functions that several translation units share must not depend on which copy the linker keeps.
#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "kernels/gemm/instruction_sets.h"
#include "kernels/gemm/panel_conv.h"
#include "kernels/gemm/winograd.h"

#if defined(RCNN_SIMD_X86)
#include <immintrin.h>

#pragma GCC target("avx2,fma")
#include "kernels/gemm/panel_stages.h"
#include "kernels/gemm/winograd_stages.h"

namespace rcnn::kernels {
namespace {

struct Avx2 {
  using Register = __m256;
  static constexpr bool kFused = true;
  static constexpr int kTileRows = 6, kTileVectors = 2;  // 12 of the 16 registers hold sums
  RCNN_ALWAYS_INLINE static Register fill(float value) { return _mm256_set1_ps(value); }
  RCNN_ALWAYS_INLINE static Register fma(Register a, Register b, Register c) {
    return _mm256_fmadd_ps(a, b, c);
  }
};

}  // namespace

const PanelKernels panels_avx2 = PanelStages<Avx2>::table("AVX2");
const WinogradKernels winograd_f2_avx2 = WinogradStages<Avx2, WinogradF2>::table("AVX2");
const WinogradKernels winograd_f4_avx2 = WinogradStages<Avx2, WinogradF4>::table("AVX2");

}  // namespace rcnn::kernels
#endif
