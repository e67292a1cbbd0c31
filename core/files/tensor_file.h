// What the readers of weights files share: element types, checked sizes, and names for error messages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/tensor.h"

namespace rcnn {

/// The type of a tensor's elements in a file, under its name in safetensors.
struct FileType {
  const char* name;
  int64_t bytes;  // of one element in the file
  DType dtype;    // in memory
};
/// The first entry with a `dtype` is the type that is written. F16 has no counterpart in memory: its elements
/// are widened.
inline constexpr FileType kFileTypes[] = {
    {"F32", 4, DType::f32}, {"F64", 8, DType::f64}, {"BF16", 2, DType::bf16}, {"I32", 4, DType::i32},
    {"I64", 8, DType::i64}, {"U8", 1, DType::u8},   {"BOOL", 1, DType::u8},   {"F16", 2, DType::f32}};

/// Null for a name that is not in the table.
const FileType* find_file_type(std::string_view name);

/// The number of elements of a shape, or nothing if no tensor can have it: a size is negative, or the product
/// of those that are not 0, in bytes, is more than int64 holds.
std::optional<int64_t> checked_elements(std::span<const int64_t> sizes, int64_t element_bytes);

/// Converts IEEE half-precision numbers to float, which represents every one of them exactly.
void widen_halves(std::span<const uint16_t> halves, float* floats);

/// A name from a file, made fit for an error message: in quotes, with control characters and broken UTF-8
/// replaced, and cut off if it is very long.
std::string in_quotes(std::string_view name);

}  // namespace rcnn
