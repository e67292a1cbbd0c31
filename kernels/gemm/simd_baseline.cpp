// The CPU's convolutions (kernels/gemm/winograd.h, kernels/gemm/panel_conv.h) for any processor: on arm64
// with NEON, elsewhere with what GCC makes of vectors of 4 floats.
#include "kernels/gemm/panel_stages.h"
#include "kernels/gemm/winograd_stages.h"

#if defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace rcnn::kernels {
namespace {

struct Baseline {
#if defined(__aarch64__)
  using Register = float32x4_t;
  static constexpr bool kFused = true;
  static constexpr int kTileRows = 6, kTileVectors = 4;  // 24 of the 32 registers hold sums
  RCNN_ALWAYS_INLINE static Register fill(float value) { return vdupq_n_f32(value); }
  RCNN_ALWAYS_INLINE static Register fma(Register a, Register b, Register c) { return vfmaq_f32(c, a, b); }
#else
  using Register [[gnu::vector_size(16)]] = float;
  static constexpr bool kFused = false;
  static constexpr int kTileRows = 6, kTileVectors = 2;
  RCNN_ALWAYS_INLINE static Register fill(float value) { return Register{value, value, value, value}; }
  RCNN_ALWAYS_INLINE static Register fma(Register a, Register b, Register c) { return a * b + c; }
#endif
};

}  // namespace

const PanelKernels panels_baseline = PanelStages<Baseline>::table("baseline");
const WinogradKernels winograd_f2_baseline = WinogradStages<Baseline, WinogradF2>::table("baseline");
const WinogradKernels winograd_f4_baseline = WinogradStages<Baseline, WinogradF4>::table("baseline");

}  // namespace rcnn::kernels
