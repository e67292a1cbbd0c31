// Times every variant of every op on the shapes of its case table.
#pragma once

#include <filesystem>
#include <string>

namespace rcnn {

struct OpBenchOptions {
  std::string device = "auto";  // see cuda::choose_device
  std::string op;               // only ops whose name contains this; empty: all
  double seconds = 0.2;         // to spend on each variant and case, at least three measurements
  double slowest = 2;           // a reference whose case has more GFLOP than this is left out
  std::filesystem::path json;   // also write the times here; empty: do not
  std::string version;          // of this program, for that file
};

/// Prints what it computes on, then a line a case and below it a line for every variant that fits the device:
/// median time, arithmetic a second where the op counts it, and GB/s of inputs read and outputs written once.
/// On a simulated GPU times mean nothing: there each variant runs a few times, on the small cases.
///
/// With `json` the file gets one object: {"device", "capability" (90 for sm_90, null for the CPU), "version",
/// "date" (UTC), "ops": [{"op", "case" (its number in the table), "variant", "precision", "inputs", "outputs"
/// (their shapes), "graph" (timed as a CUDA graph), "ms", "gflops" (null where the op does not count),
/// "gbs"}]}. A variant that failed has "error", a sentence, in place of the last four.
///
/// Throws InputError for a device or an op that is not there, Error at the end when a variant failed.
void bench_ops(const OpBenchOptions& options);

}  // namespace rcnn
