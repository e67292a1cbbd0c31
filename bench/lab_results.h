// The results of `rcnn lab time` as files: JSON, which `rcnn lab compare` reads, Markdown, and a picture.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "bench/lab_timer.h"

namespace rcnn {

/// What a file of shapes had, and what its calls took now, in milliseconds of a step.
struct TimedStep {
  std::string file = {}, what = {};
  double ms = 0;          // of the captured step
  double in_turn_ms = 0;  // the calls, all in turn as `lab replay` runs them; 0: not measured
  double alone_ms = 0;    // each call repeated alone
  double fastest_ms = 0;  // likewise, with the fastest variant
  double captured_ms = 0;
  size_t entries = 0, of = 0;  // the sums are of so many of the file's entries
};

/// What was measured where, with what.
struct LabRun {
  std::string device;  // "cpu" or the GPU's name
  int capability = 0;  // 90 for sm_90; 0: the CPU
  std::string machine, toolchain, commit, version, date;
  int threads = 1;
  Roofs roofs;
  std::optional<TimedStep> step = {};  // nothing: the cases are those of the ops' tables
  GpuCard card = {};                   // empty: the CPU, or a simulated GPU
};

/// The processor's name, the compilers' with their versions, and the date in UTC.
std::string machine_name();
std::string toolchain_name();
std::string utc_now();

/// The JSON document of lab_time, with one line per entry of its list "ops".
std::string lab_json(const LabRun& run, const std::vector<TimedRow>& rows);
/// A table for each op, with a row for each case and variant.
std::string lab_markdown(const LabRun& run, const std::vector<TimedRow>& rows);
/// The roofline: FLOP/s over FLOP per byte, both logarithmic, with the measured limits as lines and one dot
/// per case and variant; a case's dots are joined. Ops that do not count their arithmetic are left out. A
/// variant that needs fewer operations than the op counts, as Winograd's, can be above the limit.
std::string lab_roofline(const LabRun& run, const std::vector<TimedRow>& rows);

/// "3 of 20 measurements with clocks that were held back (power limit, heat)"; empty if there is none.
std::string throttled_text(const std::vector<std::vector<std::string>>& of_rows);

/// Rows that `rcnn lab compare` read from two files.
struct LabComparison {
  int slower = 0, faster = 0, same = 0, failed = 0, missing = 0;
};

/// Compares the times of two JSON files of lab_time and prints what changed by more than the noise of both:
/// slower and faster, the largest change first. A row is slower if its median and its 10th percentile both
/// are, by more than three times the noise of the two files together and by more than 3 %. Rows that one of
/// the files lacks are counted and named. Throws InputError, which names
/// the file, if one cannot be read or is of another kind, or if the files have no row in common.
LabComparison compare_lab_results(const std::filesystem::path& base, const std::filesystem::path& fresh);

}  // namespace rcnn
