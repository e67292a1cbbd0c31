// What this machine can do at most, measured on the spot: the roofs of a roofline.
#pragma once

#include <string>

#include "core/context.h"

namespace rcnn {

struct Roofs {
  double gflops = 0;  // fused multiply-adds, counted as two, in the context's precision
  double gbs = 0;     // bytes read and written by a copy of arrays that no cache holds
  std::string how;    // how both were measured, in one line
};

/// On the CPU: independent fused multiply-adds in the widest registers on all threads, and a copy of 64 MiB
/// by all threads. On a GPU: the fastest of the engine's and the libraries' products of 4096 x 4096 matrices
/// in the context's precision, and a copy of 256 MiB. Takes about half a second.
Roofs measure_roofs(Context& ctx);

/// The share of the roof that work of so much arithmetic and traffic reaches in this time, from 0 to 1 (more
/// if caches serve it): the larger of the shares of the two roofs. 0 if no time was measured.
double share_of_roof(const Roofs& roofs, double flop, double bytes, double seconds);

}  // namespace rcnn
