// `rcnn lab explain`: what limits a CUDA kernel, as far as it can be known without a GPU.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "bench/cards.h"
#include "bench/lab_timer.h"
#include "core/cuda/sim/access_count.h"

namespace rcnn {

struct LabExplainOptions {
  std::vector<std::string> names;    // OP or OP=VARIANT
  std::vector<int64_t> cases = {0};  // numbers of the op's cases to time
  bool tested = false;               // of its cases to test instead
  uint64_t blocks = 8;               // of a launch that run, where others do not depend on them; 0: all
  std::string card = "H100";         // whose limits the table of variants compares with
  std::filesystem::path root;        // of the checkout whose lines are shown; empty: none
  std::filesystem::path json;        // a file for the figures; empty: none
  bool force = false;                // replace that file even if another program wrote it
  std::string version;
};

/// A variant on a case, and its launches.
struct ExplainedVariant {
  std::string op = {}, variant = {};
  size_t case_index = 0;
  Precision precision = Precision::f32;
  TensorShapes inputs = {}, outputs = {};
  double flop = 0, bytes = 0;
  std::vector<cuda_sim::LaunchCount> launches = {};
  std::string error = {};  // not empty: it failed
};

/// What a launch does on all its blocks, if each is as those that were counted.
struct LaunchWork {
  double requests = 0;                  // of global memory
  double sectors = 0, min_sectors = 0;  // that they touch, and that the bytes would side by side
  double turns = 0, min_turns = 0;      // of shared memory
  double lanes = 0, places = 0;         // of all requests
  double read = 0, read_block = 0;      // bytes, see LaunchCount
};
LaunchWork work_of(const cuda_sim::LaunchCount& launch);
LaunchWork work_of(const ExplainedVariant& explained);

/// A speed that the card cannot exceed, from published figures and counts, with the reason.
struct Bound {
  double seconds = 0;
  std::string limit;     // "products", "memory" or "accesses"
  double last_wave = 1;  // the work of the busiest multiprocessor over the mean; the largest launch's
};
/// The longest of: the arithmetic at the card's peak; each input read once and each output written once at
/// its bandwidth (kernels::Prepared::bytes); and the accesses, as far as they were counted: a multiprocessor
/// serves one turn of shared memory or four sectors of global memory in a clock, even where they are cached.
/// A launch takes as long as the multiprocessors with the most blocks; the arithmetic is that of the launch
/// with the most accesses.
Bound bound_on(const Card& card, const ExplainedVariant& explained);

/// Sentences on what the counts show, each with its source line, and the line's text where `root` has it; the
/// costliest first. Empty if there is nothing.
std::vector<std::string> advice_on(const Card& card, const cuda_sim::LaunchCount& launch,
                                   const std::filesystem::path& root);

/// The launches of a variant as text: a table of source lines for each, the advice, and the bounds.
std::string explained_text(const ExplainedVariant& explained, const Card& card,
                           const std::filesystem::path& root);
/// A row for each variant, for Markdown.
std::string explained_table(const std::vector<ExplainedVariant>& all, const Card& card);
/// The figures of that table, {"info", "version", "card", "variants": [{"op", "case", "variant", ...}]}.
std::string explained_json(const std::vector<ExplainedVariant>& all, const Card& card,
                           const std::string& version);

/// Runs the CUDA variants of the named ops on the simulated device, where each launch is counted, and prints
/// explained_text for each, what nvcc made of the kernels (bench/machine_code.h), and the table. Throws
/// InputError if an op, a variant, a case or a card does not exist or the build cannot count, and Error at
/// the end if a variant failed.
void lab_explain(const LabExplainOptions& options);

}  // namespace rcnn
