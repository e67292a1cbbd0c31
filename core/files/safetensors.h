// The safetensors file format: 8 bytes of little-endian header length, a JSON header, the tensors' bytes.
//
//   {"__metadata__": {"key": "text"},
//    "fc.weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}
//
// A weights file may come from anywhere, so the reader trusts nothing: the header is limited in size, every
// tensor's size is computed with checked arithmetic, and the tensors must cover the data exactly.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/tensor.h"

namespace rcnn {

/// The maximum size of a header in bytes; the header of a model with 1,000 tensors takes about 0.1 MiB.
inline constexpr uint64_t kMaxSafetensorsHeader = uint64_t{16} << 20;

struct SafetensorsFile {
  std::map<std::string, Tensor> tensors;  // on the CPU, by name
  std::map<std::string, std::string> metadata;
  /// The type that each tensor has in the file ("F16"), which may differ from its type in memory.
  std::map<std::string, std::string> types = {};
};

/// Reads a whole file. The types F32, F64, BF16, I32, I64 and U8 are kept, F16 becomes f32 and BOOL u8.
///
/// Throws InputError, which names the file and the tensor concerned, if the file cannot be read or is shorter
/// or longer than its header says; if the header is too long, is not JSON or does not have the form above; if
/// a tensor is named twice, has another type or more than Shape::kMaxRank dimensions, has a shape and offsets
/// that disagree, or reaches outside the data; or if tensors overlap or leave a gap.
SafetensorsFile read_safetensors(const std::filesystem::path& path);

/// Writes the file atomically (see `write_atomically`). The header lists the tensors in the order given and
/// is padded with spaces to a multiple of 8 bytes. In the data, tensors with larger elements come first
/// (otherwise in the order given), so that each is aligned to its element size. Bytes of `metadata` that are
/// not UTF-8 are replaced by U+FFFD, because a path may contain any bytes.
///
/// Throws Error if a tensor is undefined or not on the CPU, if a name occurs twice, is "__metadata__" or is
/// not UTF-8, if the header would exceed kMaxSafetensorsHeader, or if the file cannot be written.
void write_safetensors(const std::filesystem::path& path,
                       const std::vector<std::pair<std::string, Tensor>>& tensors,
                       const std::map<std::string, std::string>& metadata);

}  // namespace rcnn
