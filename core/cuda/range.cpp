// Named ranges in the timelines of profilers.
#include "core/cuda/device.h"

#if !defined(RCNN_CUDA_SIM) && __has_include(<nvtx3/nvToolsExt.h>)
#include <nvtx3/nvToolsExt.h>
#define RCNN_NVTX
#endif

namespace rcnn::cuda {

Range::Range(const char* name) {
#if defined(RCNN_NVTX)
  nvtxRangePushA(name);
#else
  static_cast<void>(name);
#endif
}
Range::~Range() {
#if defined(RCNN_NVTX)
  nvtxRangePop();
#endif
}

}  // namespace rcnn::cuda
