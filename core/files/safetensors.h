// The safetensors file format: 8 bytes of little-endian header length, a JSON header, the tensors' bytes.
//
//   {"__metadata__": {"key": "text"}, "fc.weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0,
//   24]}}
//
// A weights file comes from strangers, so the reader believes nothing: the header is limited in size, every
// tensor's size is worked out with checked arithmetic, and the tensors must cover the data exactly.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/tensor.h"

namespace rcnn {

/// The largest header that is read, in bytes; that of a model with 1,000 tensors takes about 0.1 MiB.
inline constexpr uint64_t kMaxSafetensorsHeader = uint64_t{16} << 20;

struct SafetensorsFile {
  std::map<std::string, Tensor> tensors;  // on the CPU, by name
  std::map<std::string, std::string> metadata;
  /// Of each tensor the type that it has in the file ("F16"), which need not be that in memory.
  std::map<std::string, std::string> types = {};
};

/// Reads a whole file. Types F32, F64, BF16, I32, I64 and U8 are kept, F16 becomes f32 and
/// BOOL u8.
///
/// Throws InputError, a sentence that names the file and the tensor concerned, when the file cannot be read,
/// is shorter or longer than its header says, has a header that is too long, no JSON or not of the form
/// above, names a tensor twice, has a tensor of another type, of more than Shape::kMaxRank dimensions, whose
/// shape and offsets disagree or that reaches outside the data, or has tensors that overlap or leave a gap.
SafetensorsFile read_safetensors(const std::filesystem::path& path);

/// Writes the file in one step (see `write_atomically`). The header lists the tensors in the order given and
/// is padded with spaces to a multiple of 8; in the data, tensors with larger elements come first (otherwise
/// in the order given), so that each is aligned to its element size. Bytes of `metadata` that are not UTF-8
/// are replaced by U+FFFD, because a path may hold anything.
///
/// Throws Error when a tensor is undefined or not on the CPU, a name comes twice, is "__metadata__" or is not
/// UTF-8, the header would exceed kMaxSafetensorsHeader, or the file cannot be written.
void write_safetensors(const std::filesystem::path& path,
                       const std::vector<std::pair<std::string, Tensor>>& tensors,
                       const std::map<std::string, std::string>& metadata);

}  // namespace rcnn
