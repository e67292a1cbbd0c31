// The CPU's convolutions (kernels/gemm/winograd.h, kernels/gemm/panel_conv.h) for processors with AVX-512.
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

#pragma GCC target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")
#include "kernels/gemm/panel_stages.h"
#include "kernels/gemm/winograd_stages.h"

namespace rcnn::kernels {
namespace {

struct Avx512 {
  using Register = __m512;
  static constexpr bool kFused = true;
  static constexpr int kTileRows = 12, kTileVectors = 2;  // 24 of the 32 registers hold sums
  RCNN_ALWAYS_INLINE static Register fill(float value) { return _mm512_set1_ps(value); }
  RCNN_ALWAYS_INLINE static Register fma(Register a, Register b, Register c) {
    return _mm512_fmadd_ps(a, b, c);
  }
};

}  // namespace

const PanelKernels panels_avx512 = PanelStages<Avx512>::table("AVX-512");
const WinogradKernels winograd_f2_avx512 = WinogradStages<Avx512, WinogradF2>::table("AVX-512");
const WinogradKernels winograd_f4_avx512 = WinogradStages<Avx512, WinogradF4>::table("AVX-512");

}  // namespace rcnn::kernels
#endif
