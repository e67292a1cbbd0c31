// PyTorch's .pth and .pt files in zip form (written by PyTorch 1.6 and newer): a pickle that describes the
// tensors, and a record of plain bytes for each of their storages.
//
//   archive/data.pkl   {"fc.weight": _rebuild_tensor_v2(storage "0", offset, sizes, strides, ...), ...}
//   archive/data/0     the elements of storage 0
//   archive/byteorder  "little", in files of newer versions
//
// The pickle is read as data alone (core/files/pickle.h), the archive through libzip
// (core/files/zip_archive.h). A weights file comes from strangers, so the reader believes nothing: every size
// is checked against the record's and the file's before memory is asked for.
#pragma once

#include <cstdint>
#include <filesystem>

#include "core/files/safetensors.h"

namespace rcnn {

/// All tensors together may take this many times the file's bytes: tensors may share a storage, and an
/// expanded one repeats its elements.
inline constexpr int64_t kMaxPthGrowth = 16;

/// Reads the state dict of a file: tensors by name at the top, or in a dict under "model", "state_dict" or
/// "model_state_dict", beside which training programs keep their optimiser's state; that is left out. Every
/// tensor is a contiguous copy of its own. Types are those of read_safetensors, under the same names. There
/// are no metadata.
///
/// Throws InputError, a sentence that names the file and the tensor, record, opcode or global concerned, for
/// an archive or a pickle that is damaged or over the limits (see ZipArchive and read_pickle), the old format
/// without zip, big-endian numbers, a state dict that is missing, has a name twice or a value that is no
/// tensor, a type that is not known here, and a tensor with negative or too many sizes, that reaches out of
/// its storage, or whose storage is not as long as its record.
SafetensorsFile read_pth(const std::filesystem::path& path);

}  // namespace rcnn
