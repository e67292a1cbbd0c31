#include "tests/parity/expected.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/config.h"
#include "tests/parity/formula.h"

namespace rcnn::parity {
namespace {

constexpr double kNone = std::numeric_limits<double>::infinity();

std::vector<double> doubles(const Tensor& tensor) {
  const Tensor wide = tensor.cast(DType::f64);
  const auto values = wide.values<double>();
  return {values.begin(), values.end()};
}

/// Computes the same as `sample` in torchvision_side.py.
std::vector<double> sample(const std::string& name, const std::vector<double>& all, size_t count) {
  std::vector<double> picked;
  const uint32_t start = formula_start(name);
  for (uint32_t i = 0; i < count; ++i) picked.push_back(all[formula_bits(start, i) % all.size()]);
  double largest = 0, sum = 0, magnitudes = 0;
  for (const double value : all) {
    largest = std::max(largest, std::fabs(value));
    sum += value;
    magnitudes += std::fabs(value);
  }
  const auto n = static_cast<double>(all.size());
  picked.insert(picked.end(), {largest, sum / n, magnitudes / n});
  return picked;
}

}  // namespace

Expected::Expected(const std::filesystem::path& path)
    : name_(path.stem().string()), file_(read_safetensors(path)) {
  constexpr std::string_view kPrefix = "shape.";
  for (const auto& [key, text] : file_.metadata) {
    if (!key.starts_with(kPrefix)) continue;
    std::vector<int64_t> sizes;
    const Levels lists = numbers(key);
    for (const float size : lists.at(0)) sizes.push_back(static_cast<int64_t>(size));
    shapes_[key.substr(kPrefix.size())] = Shape(std::span<const int64_t>(sizes));
  }
}

const std::string& Expected::word(const std::string& key) const {
  const auto found = file_.metadata.find(key);
  check_input(found != file_.metadata.end(), "{}: the file has no metadata '{}'", name_, key);
  return found->second;
}

Levels Expected::numbers(const std::string& key) const {
  Levels lists;
  parse_value(key, word(key), lists);
  return lists;
}

const Tensor& Expected::tensor(const std::string& tensor) const {
  check_input(whole(tensor), "{}: tensor '{}' is missing or only sampled", name_, tensor);
  return file_.tensors.at(tensor);
}

double Expected::deviation(const std::string& tensor, const Tensor& ours, bool absolute,
                           double rounding) const {
  check_input(has(tensor), "{}: tensor '{}' is missing", name_, tensor);
  const Tensor& stored = file_.tensors.at(tensor);
  const auto shape = shapes_.find(tensor);
  if (ours.shape() != (shape == shapes_.end() ? stored.shape() : shape->second)) return kNone;
  const std::vector<double> wanted = doubles(stored);
  std::vector<double> found = doubles(ours);
  if (shape != shapes_.end()) found = sample(tensor, found, wanted.size() - 3);
  double largest = 0, difference = 0;
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (!std::isfinite(found[i]) || !std::isfinite(wanted[i])) return kNone;
    largest = std::max(largest, std::fabs(wanted[i]));
    difference = std::max(difference, std::fabs(found[i] - wanted[i]) - rounding);
  }
  return difference == 0 || absolute ? difference : difference / largest;
}

}  // namespace rcnn::parity
