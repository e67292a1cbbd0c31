// `rcnn lab time` and `rcnn bench ops`: time the variants of ops on the shapes of their case tables.
//
// bench/lab_timer.h is the timer behind it, for cases from elsewhere.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace rcnn {

struct LabTimeOptions {
  std::string device = "auto";        // see cuda::choose_device
  std::vector<std::string> names;     // OP or OP=VARIANT; empty: all
  std::vector<std::string> op_parts;  // only ops whose name contains one of these; empty: all
  std::vector<std::string> variants;  // only these; empty: all
  std::vector<std::string> chosen;    // only the variants that a model of these precisions uses; empty: all
  std::vector<int64_t> cases;         // of each op only the cases of these numbers; empty: all
  std::filesystem::path shapes;       // time the calls of this file (bench/shapes.h); empty: the ops' cases
  bool cold = false;                  // on a GPU, also time each run with nothing of it in the L2 cache
  bool once = false;                  // run each variant once, without timing it: for profilers
  bool roofs = true;                  // measure the machine's limits first
  double seconds = 0.2;  // at most, for each variant and case; at least three measurements are made
  double noise = 0;      // stop earlier once the median is known to within this share of it
  double slowest = 2;    // the reference is not timed on cases of more GFLOP than this
  std::filesystem::path json, markdown, svg;  // files for the results; empty: none
  bool force = false;                         // replace those files even if another program wrote them
  std::string version, commit;                // of this program, written to those files
};

/// Prints the device and the machine's limits, then for each case a table of the variants that fit the
/// device: the median time, its 10th and 90th percentile and its noise (bench/timing.h); GFLOP/s if the op
/// counts its arithmetic, and GB/s, counting each input as read once and each output as written once; the
/// share of the nearest limit (M: memory, P: products), which can be above 100 % where operands stay in a
/// cache; and how many times as fast as the best library in the same precision. On the CPU the variants of a
/// case are measured in three rounds in turn. Times on a simulated GPU mean nothing; each variant runs only a
/// few times there, on small cases.
///
/// With `shapes` the cases are the calls of that file, with its values, each numbered as its entry; weights
/// that most calls found new are packed in every run, as then. At the end a table weighs the times by how
/// often a step makes each call, beside the captured times: those of the variants that the program would
/// choose, and those of the fastest. If all calls are timed, they also run all in turn as `lab replay` does,
/// for up to ten seconds: that comes close to the step, while a call that is repeated alone finds its
/// operands in a cache.
///
/// With `json` one object is written to the file: {"device", "capability" (90 for sm_90, null for the CPU),
/// "machine", "threads", "toolchain", "commit", "version", "date" (UTC), "roofs", "gpu" (what NVML says of
/// the card: bench/gpu_state.h), "ops": [{"op", "case" (its number in the table), "variant", "precision",
/// "inputs", "outputs" (their shapes), "graph" (timed as a CUDA graph), "ms", "p10_ms", "p90_ms", "noise",
/// "samples", "flop", "bytes", "gflops" (null if the op does not count its arithmetic), "gbs", "roof" (share
/// of the limit, null if unknown), "library" (times as fast as it, null if there is none)}]}, with `cold`
/// "cold_ms", "cold_p10_ms", "cold_p90_ms" and "cold_noise", and with `shapes` "calls" (of a step) and
/// "chosen" (the program would take it); then the document has "step" {"file", "what", "ms" (of the step),
/// "in_turn_ms" (null if not measured), "alone_ms", "fastest_ms", "captured_ms" (the sums of the entries that
/// were timed), "entries" (how many these are), "of"}. A variant that failed has "error", a sentence, instead
/// of the figures.
///
/// Throws InputError if the device, an op or a variant does not exist, and Error at the end if a variant
/// failed.
void lab_time(const LabTimeOptions& options);

}  // namespace rcnn
