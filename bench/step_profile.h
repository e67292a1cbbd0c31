// Where the time and the memory of a training step or a detection go, by layer and by op.
#pragma once

#include <cstdio>
#include <filesystem>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "bench/op_calls.h"
#include "bench/roofs.h"
#include "core/op_profile.h"
#include "models/faster_rcnn.h"

namespace rcnn {

class StepProfile {
 public:
  /// Observes the ops of `ctx` from now on. Ops that read or write a parameter of the model, or its gradient,
  /// are those of the parameter's layer; the others are those of the part of the model that runs.
  StepProfile(Context& ctx, FasterRcnn& model);

  void step_begins();
  /// Waits for the device.
  void step_ends();

  /// One line of a table: calls that have something in common, of all steps.
  struct Row {
    std::string name;
    int64_t calls = 0;
    double seconds = 0, flop = 0, bytes = 0;
  };
  enum class By { op, layer, layer_and_op };
  /// The slowest first.
  std::vector<Row> rows(By by) const;

  /// Who needs the most memory.
  struct Memory {
    int64_t before = 0;       // bytes in use when the step with the peak began
    int64_t peak = 0;         // the maximum
    std::string layer, call;  // during or before which op: "backbone.body.conv1", "conv2d (panels)"
    /// What had become more (or less) since the step began, by the layer whose op came next.
    std::vector<std::pair<std::string, int64_t>> growth;
  };
  Memory memory() const;

  /// Prints tables of at most `max_rows` lines and 100 columns: by op and by layer, or only as `by` says
  /// ("op", "layer" or "both": by layer and op); then the memory.
  void print(const std::string& by, size_t max_rows, std::FILE* to) const;

  /// Writes the calls for Perfetto and chrome://tracing (the Trace Event Format): steps and ops on one track,
  /// layers on another, and the memory as a counter.
  void write_trace(const std::filesystem::path& path, const std::string& version) const;

 private:
  struct Step {
    double start = 0, seconds = 0;
    double described = 0;  // of these, spent on describing calls
    int64_t memory = 0;    // in use when it began
    size_t first_call = 0;
  };

  void describe(const OpCall& call, OpProfile::Call& entry);
  const std::string* layer_of_call(const OpCalls& calls, const void* args) const;
  const CallWork& work_of(const OpProfile::Call& call) const;

  Context& ctx_;
  FasterRcnn& model_;
  std::unordered_map<const void*, std::string> layer_of_;  // a parameter's or gradient's memory
  std::vector<Step> steps_;
  mutable std::map<std::string, CallWork> work_;  // of an op and a shape
  OpProfile profile_;
};

}  // namespace rcnn
