// The tensors that torchvision computed for one case (tests/parity/torchvision_side.py). `make parity` writes
// every tensor whole. The files that are committed have small tensors whole; of the others they have a fixed
// sample of elements, the largest magnitude, the mean and the mean magnitude.
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

  /// The name of the case, which is that of the file.
  const std::string& name() const { return name_; }
  /// The value of `key` in the file's metadata. Throws InputError if it is missing.
  const std::string& word(const std::string& key) const;
  /// The same as numbers: "1, 2; 3" is two lists.
  Levels numbers(const std::string& key) const;
  const std::map<std::string, std::string>& words() const { return file_.metadata; }

  const std::map<std::string, Tensor>& tensors() const { return file_.tensors; }
  bool has(const std::string& tensor) const { return file_.tensors.contains(tensor); }
  bool whole(const std::string& tensor) const { return has(tensor) && !shapes_.contains(tensor); }
  /// A tensor that the file has whole. Throws InputError if it is missing or only sampled.
  const Tensor& tensor(const std::string& tensor) const;

  /// The largest difference between `ours` and torchvision's tensor, divided by the largest magnitude in
  /// torchvision's unless `absolute` is set. Infinity if the shapes differ or a value is not finite.
  /// `rounding` is subtracted from every difference.
  double deviation(const std::string& tensor, const Tensor& ours, bool absolute = false,
                   double rounding = 0) const;

 private:
  std::string name_;
  SafetensorsFile file_;
  std::map<std::string, Shape> shapes_;  // of the tensors that are only sampled
};

}  // namespace rcnn::parity
