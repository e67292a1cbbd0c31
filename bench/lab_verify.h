// `rcnn lab verify`: tells whether variants of ops are right, and where they are not.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace rcnn {

struct LabVerifyOptions {
  std::vector<std::string> ops;  // OP or OP=VARIANT; empty: all
  std::string device = "all";    // "cpu", "cuda" or both
  std::filesystem::path out;     // folder for pictures of wrong results; empty: none
  bool force = false;            // replace pictures even if another program wrote files of these names
};

/// Runs the variants on every test case of their op as the tests do (kernels/verify.h), and prints one line
/// for each variant. For one that is wrong, prints the first wrong result with its shapes and its worst
/// element, writes `out`/OP-VARIANT-DEVICE.png (bench/error_map.h), and looks for a smaller case on which it
/// is wrong, for at most ten seconds. Variants that call a library of NVIDIA run if they are named.
///
/// Throws InputError if an op or a variant does not exist or cannot run here though it was named, and Error
/// at the end if a variant is wrong.
void lab_verify(const LabVerifyOptions& options);

}  // namespace rcnn
