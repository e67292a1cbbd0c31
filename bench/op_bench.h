// Times every variant of every op on the shapes of its case table.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace rcnn {

struct OpBenchOptions {
  std::string device = "auto";        // see cuda::choose_device
  std::vector<std::string> ops;       // only ops whose name contains one of these; empty: all
  std::vector<std::string> variants;  // only these; empty: all
  std::vector<std::string> chosen;    // only the variants that a model of these precisions uses; empty: all
  int64_t only_case = -1;             // of each op only the case of this number; -1: all
  bool cold = false;                  // on a GPU, also time each run with nothing of it in the L2 cache
  double seconds = 0.2;               // spent on each variant and case; at least three measurements are made
  double slowest = 2;                 // the reference is not timed on cases of more GFLOP than this
  std::filesystem::path json;         // file for the times; empty: none
  bool force = false;                 // replace that file even if another program wrote it
  std::string version;                // of this program, written to that file
};

/// Prints the device, then one line per case and below it one line for every variant that fits the device:
/// median time, GFLOP/s if the op counts its arithmetic, and GB/s, counting each input as read once and each
/// output as written once. Times on a simulated GPU mean nothing; each variant runs only a few times there,
/// on small cases.
///
/// With `json` one object is written to the file: {"device", "capability" (90 for sm_90, null for the CPU),
/// "version", "date" (UTC), "ops": [{"op", "case" (its number in the table), "variant", "precision",
/// "inputs", "outputs" (their shapes), "graph" (timed as a CUDA graph), "ms", "gflops" (null if the op does
/// not count its arithmetic), "gbs"}]}, and with `cold` "cold_ms". A variant that failed has "error", a
/// sentence, instead of the figures.
///
/// Throws InputError if the device, an op or a variant does not exist, and Error at the end if a variant
/// failed.
void bench_ops(const OpBenchOptions& options);

}  // namespace rcnn
