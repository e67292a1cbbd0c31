// The limits of a machine, measured on the spot: what a kernel's speed is compared with.
#pragma once

#include <map>
#include <string>

#include "core/context.h"

namespace rcnn {

struct Roofs {
  double copy = 0;  // bytes per second, each byte read and written counted once; 0: unknown
  std::map<Precision, double> products;  // FLOP per second of multiply-adds by the operands' precision
  std::string text;                      // "copy 15.9 GB/s, f32 181 GFLOP/s (2 threads)"

  /// The seconds that the work takes at least by these limits; 0 if they are not known. `by_memory` says
  /// which of the two limits it is.
  double floor(double flop, double bytes, Precision precision, bool& by_memory) const;
};

/// Of the CPU: the best of several copies of 128 MiB, and fused multiply-adds in registers, on all threads of
/// the program. Takes about half a second.
Roofs measure_cpu_roofs();

/// Of a GPU: copies of 256 MiB, and for each precision the fastest of multiply-adds in registers
/// (bench/peaks.h) and of products of two matrices of 4096 x 4096 by any variant of `matmul`: libraries use
/// instructions of sm_90 that multiply faster than mma.sync. A simulated GPU has no limits worth measuring:
/// everything is 0.
Roofs measure_gpu_roofs(Context& ctx);

/// Of the context's device.
Roofs measure_roofs(Context& ctx);

}  // namespace rcnn
