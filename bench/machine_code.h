// What nvcc made of kernels, for `rcnn lab explain`.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace rcnn {

/// A kernel that was launched: its name with template arguments, and the threads and the bytes of shared
/// memory of a block.
struct LaunchedKernel {
  std::string name;
  unsigned threads = 0;
  size_t shared = 0;
  std::filesystem::path file = {};  // where it was launched, from the checkout's root: looked at first
};

/// The name as tools/sass_report.py shows it, without namespaces and blanks:
/// "kernel<Bf16,Tile<128,256,1>,1>".
std::string sass_name(const std::string& name);

/// What tools/sass_report.py says of the kernels, which must be in a checkout at `root`: registers, occupancy
/// and what limits it, the instructions of the hot loop, and bytes in flight. Of those whose object is in
/// build/release-cuda, where `make cuda-report` leaves them; otherwise one sentence on what is missing. Not
/// for kernels of libraries.
std::string machine_code_text(const std::vector<LaunchedKernel>& kernels, const std::filesystem::path& root);

}  // namespace rcnn
