// What torchvision computed of one case (tests/parity/torchvision_side.py): every tensor whole, as `make
// parity` has it, or, in the files that are committed, small ones whole and of others a fixed sample of
// elements, the largest magnitude, the mean and the mean magnitude.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "core/config.h"
#include "core/files/safetensors.h"

namespace rcnn::parity {

class Expected {
 public:
  explicit Expected(const std::filesystem::path& path);

  /// What the case is called: the file's name.
  const std::string& name() const { return name_; }
  /// One of the file's words; throws InputError where it has none of this name.
  const std::string& word(const std::string& key) const;
  /// The same as numbers: "1, 2; 3" is two lists.
  Levels numbers(const std::string& key) const;
  const std::map<std::string, std::string>& words() const { return file_.metadata; }

  const std::map<std::string, Tensor>& tensors() const { return file_.tensors; }
  bool has(const std::string& tensor) const { return file_.tensors.contains(tensor); }
  bool whole(const std::string& tensor) const { return has(tensor) && !shapes_.contains(tensor); }
  /// A tensor that is there as a whole.
  const Tensor& tensor(const std::string& tensor) const;

  /// The largest difference between `ours` and torchvision's, divided by the largest magnitude of
  /// torchvision's unless `absolute`. Infinity where shapes differ or a value is not finite. Differences up
  /// to `rounding` do not count.
  double deviation(const std::string& tensor, const Tensor& ours, bool absolute = false,
                   double rounding = 0) const;

 private:
  std::string name_;
  SafetensorsFile file_;
  std::map<std::string, Shape> shapes_;  // of the tensors of which the file has a sample
};

}  // namespace rcnn::parity
