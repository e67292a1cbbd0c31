#include "core/files/tensor_file.h"

#include <algorithm>
#include <bit>
#include <iterator>
#include <nlohmann/json.hpp>

namespace rcnn {
namespace {

float widen_half(uint16_t half) {
  const uint32_t sign = uint32_t{half} >> 15 << 31;
  const uint32_t exponent = (half >> 10) & 31U, fraction = half & 1023U;
  if (exponent == 0) {  // zero or subnormal: fraction * 2^-24
    const float magnitude = static_cast<float>(fraction) * 0x1p-24F;
    return std::bit_cast<float>(std::bit_cast<uint32_t>(magnitude) | sign);
  }
  const uint32_t wide_exponent = exponent == 31 ? 255 : exponent + (127 - 15);
  return std::bit_cast<float>(sign | wide_exponent << 23 | fraction << 13);
}

}  // namespace

const FileType* find_file_type(std::string_view name) {
  const auto* found = std::find_if(std::begin(kFileTypes), std::end(kFileTypes),
                                   [&](const FileType& type) { return name == type.name; });
  return found == std::end(kFileTypes) ? nullptr : found;
}

std::optional<int64_t> checked_elements(std::span<const int64_t> sizes, int64_t element_bytes) {
  int64_t elements = 1, bytes = std::max<int64_t>(element_bytes, 8);  // as in Tensor::empty
  for (const int64_t size : sizes) {
    if (size < 0 || __builtin_mul_overflow(bytes, std::max<int64_t>(size, 1), &bytes)) return std::nullopt;
    elements *= size;
  }
  return elements;
}

void widen_halves(std::span<const uint16_t> halves, float* floats) {
  std::transform(halves.begin(), halves.end(), floats, widen_half);
}

std::string in_quotes(std::string_view name) {
  constexpr size_t kMaxLength = 200;
  const std::string shown =
      name.size() <= kMaxLength ? std::string(name) : std::string(name.substr(0, kMaxLength)) + "...";
  return nlohmann::json(shown).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace rcnn
