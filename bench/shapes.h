// Shapes from life: a file with every op call of some steps of a training or a detection, as cases of the
// ops' tables, and its replay.
//
// The file is one JSON object: {"info", "shapes": 1, "what", "command", "version", "date", "device",
// "threads", "precision", "training", "steps", "step_ms" (median), "ops": [{"op", "variant",
// "calls" (in all steps), "ms" (per call, the median of the steps' means), "packed" (calls for which weights
// were packed), "case" (the fields of the op's case struct, kernels/*/*_cases.h), "accumulate", "in_place",
// "weights" (see CallJson), "values" (the numbers of the inputs that are kept)}]}. The inputs of ops whose
// time depends on values are in FILE.safetensors beside it, under "ENTRY/INPUT", and "values_sha256" is that
// file's digest: indices among them are places in memory.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "bench/op_calls.h"
#include "core/context.h"

namespace rcnn {

/// Calls of an op that have the same shapes and options.
struct CapturedOp {
  std::string op = {}, variant = {};
  int64_t calls = 0;                  // in all steps
  double ms = 0;                      // of a call: the median of the steps' means; 0: not measured
  int64_t packed = 0;                 // of the calls, those with weights that the op saw for the first time
  CallJson call = {};                 // {"case", "accumulate", "in_place"}
  std::map<int, Tensor> values = {};  // inputs of the prepared case, by their number
};

struct Capture {
  std::string what;  // "training step" or "detection"
  std::string command, version, date, device, precision;
  int threads = 0;
  bool training = false;
  int64_t steps = 0;
  double step_ms = 0;  // median
  std::vector<CapturedOp> ops;
};

/// The file of values beside a file of shapes.
std::filesystem::path values_file(const std::filesystem::path& path);

/// Writes the file, and the values beside it if there are any.
void write_capture(const std::filesystem::path& path, const Capture& capture);
/// Throws InputError, which names the file and the entry, if it is not such a file.
Capture read_capture(const std::filesystem::path& path);

struct Replayed {
  double ms = 0;  // of a call
  std::string variant;
};
/// Times every case with the variant that this context chooses, in rounds over all cases, so that each finds
/// the caches as the others leave them. In a training the weights are new in every step, and are packed as
/// often as they were then on a CPU; on a GPU the other operands of products are packed once (KeptForms).
/// `seconds` is spent on the rounds, of which there are at least three.
std::vector<Replayed> replay(Context& ctx, const Capture& capture, double seconds);

/// Prints, by op, the replayed time of a step beside that of the captured step, and the sum. Returns the sum
/// as a share of the captured step.
double print_replay(const Capture& capture, const std::vector<Replayed>& replayed);

/// Milliseconds of a call of each entry; below 0: not measured.
struct EntryTimes {
  const char* title = "";
  std::vector<double> ms = {};
};
/// The sum of a step, in milliseconds, over the entries that each of the columns has measured.
struct StepSums {
  std::vector<double> columns = {};
  double captured = 0, calls = 0;
  size_t entries = 0;
};
/// Prints, by op, the columns weighed by how often a step makes each call, the captured times of the same
/// calls, and the ratio of the first column to these. Ends with their sums, and returns them.
StepSums print_step_table(const Capture& capture, const std::vector<EntryTimes>& columns);
/// Prints how long the captured step took, and which share of it `what` is, which takes `ms`; and what the
/// comparison lacks. Returns the share.
double print_share_of_step(const Capture& capture, const std::string& what, double ms);

}  // namespace rcnn
