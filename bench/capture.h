// Records the op calls of a running training or detection for bench/shapes.h.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "bench/shapes.h"
#include "core/op_profile.h"

namespace rcnn {

struct CaptureOptions {
  std::filesystem::path file = {};  // --capture
  std::string what = "training step";
  bool training = true;
  std::string command = {}, version = {};
  int64_t warm_up = 3;  // steps before the first that is recorded
  int64_t steps = 10;   // that are recorded
  bool values = true;   // also keep the inputs of ops whose time depends on them
};

/// Records steps and writes the file as soon as it has them all; finish() writes what there is if the run has
/// ended earlier. Steps that are recorded are not replayed as CUDA graphs.
class ShapeCapture : public StepWatcher {
 public:
  explicit ShapeCapture(CaptureOptions options);
  ~ShapeCapture() override;

  void step_begins(Context& ctx) override;
  void step_ends(Context& ctx) override;
  /// Writes the file if it is not written. Throws InputError if no step was recorded.
  void finish();
  bool written() const { return written_; }

 private:
  /// A call in hand: finds its entry, or makes one.
  void describe(const OpCall& call, OpProfile::Call& entry);
  void add_calls();
  void write();

  CaptureOptions options_;
  Capture capture_;
  std::unique_ptr<OpProfile> profile_;
  Device device_;
  std::map<std::string, size_t> index_;  // of an entry in capture_.ops, by its description
  std::vector<std::vector<double>> ms_;  // for each entry, the mean of its calls in every step that timed one
  std::set<std::string> packed_;         // weights that were seen in this step or the one before
  std::vector<double> step_seconds_;
  int64_t step_ = 0;
  double began_ = 0, described_ = 0;  // when the step began, and the seconds spent on descriptions since
  bool written_ = false;
};

/// The capture that `--capture FILE` asks for, or null if `options.file` is empty. Throws InputError if the
/// file must not be written (see OutputCheck): the command reads it (`inputs`, files and folders), or it
/// would lie in the folder of the command's own results (`out`, or empty).
std::unique_ptr<ShapeCapture> make_capture(const CaptureOptions& options, bool force,
                                           const std::vector<std::filesystem::path>& inputs = {},
                                           const std::filesystem::path& out = {});

}  // namespace rcnn
