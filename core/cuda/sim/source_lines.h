// The source lines of positions in the program's code, by addr2line. Only for core/cuda/sim/access_*.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace rcnn::cuda_sim {

struct SourceLine {
  std::string place;   // "kernels/vectors.h:17": the innermost function that belongs to the project
  std::string caller;  // the first line of another file that it was inlined into, or ""
};

/// For each position (line_of in access_shadow.h) its line. The place is "0x1234 of the program" if addr2line
/// is missing or finds no line.
std::vector<SourceLine> source_lines(const std::vector<uint32_t>& positions);

}  // namespace rcnn::cuda_sim
