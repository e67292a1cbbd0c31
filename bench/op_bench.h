// Times every variant of every op on the shapes of its case table.
#pragma once

#include <set>
#include <string>

namespace rcnn {

struct OpBenchOptions {
  std::string op;        // only ops whose name contains this; empty: all
  double seconds = 0.2;  // to spend on each variant and case, at least three runs
  double slowest = 2;    // a reference whose case has more GFLOP than this is left out
};

/// Prints a line a variant and case: median time, GFLOP/s where the op counts its arithmetic, and GB/s of
/// inputs read and outputs written once.
void bench_ops(const OpBenchOptions& options);

/// What `--kernel` can name.
std::set<std::string> op_families();

}  // namespace rcnn
