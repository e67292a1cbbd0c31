// The sources of the project, for the commands of the kernel lab that read or write them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace rcnn {

/// The root of the checkout that `start` (empty: the current folder) is in: the nearest folder above that has
/// kernels/ops.h and a Makefile. Empty if there is none.
std::filesystem::path find_checkout(const std::filesystem::path& start = {});

/// The text of a file. Throws InputError naming it if it cannot be read.
std::string read_source(const std::filesystem::path& file);

/// Where the function of a variant is defined: a line of kernels/ that begins with `void NAME(` and has a
/// Stream.
struct SourcePlace {
  std::filesystem::path file;  // from the root: kernels/roi/roi_align_cpu.cpp
  int line = 0;                // 0: not found
};

/// The definition of the function of a variant. Its name is OP_VARIANT (roi_align_backward_merged_taps);
/// where one function serves several precisions, the variant's name without its last word (conv2d_cudnn of
/// cudnn_tf32).
class VariantSources {
 public:
  explicit VariantSources(const std::filesystem::path& root);
  SourcePlace find(const std::string& op, const std::string& variant, bool on_cuda) const;

 private:
  struct Definition {
    std::string function;
    SourcePlace place;
  };
  std::vector<Definition> definitions_;
};

}  // namespace rcnn
