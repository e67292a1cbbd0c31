// PyTorch's .pth and .pt files. In zip form (written by PyTorch 1.6 and later) they hold a pickle that
// describes the tensors, and a record of plain bytes for each of their storages. core/files/pth_old.h has the
// older form.
//
//   archive/data.pkl   {"fc.weight": _rebuild_tensor_v2(storage "0", offset, sizes, strides, ...), ...}
//   archive/data/0     the elements of storage 0
//   archive/byteorder  "little", in files of newer versions
//
// The pickle is read as data alone (core/files/pickle.h), the archive through libzip
// (core/files/zip_archive.h). A weights file may come from anywhere, so the reader trusts nothing: every size
// is checked against those of the record and of the file before memory is allocated.
#pragma once

#include <cstdint>
#include <filesystem>

#include "core/files/safetensors.h"

namespace rcnn {

/// All tensors together may take this many times the bytes of the file: tensors may share a storage, and an
/// expanded tensor repeats its elements.
inline constexpr int64_t kMaxPthGrowth = 16;

/// Reads the state dict of a file of either form: tensors by name at the top, or in a dict under "model",
/// "state_dict" or "model_state_dict"; or, if there are none, in any dict at the top other than "optimizer",
/// whose name then precedes theirs. Numbers, text, paths and whatever else is beside the tensors is left out.
/// Every tensor is a separate contiguous copy. Types are those of read_safetensors, under the same names.
/// There is no metadata.
///
/// Throws InputError, which names the file and the tensor, record, opcode or global concerned, for an archive
/// or a pickle that is damaged or exceeds the limits (see ZipArchive and read_pickle); for big-endian
/// numbers; for a state dict that is missing, or has a name twice; for an unknown type; and for a tensor with
/// negative or too many sizes, one that reaches beyond its storage, or one whose storage is not as long as
/// the pickle says.
SafetensorsFile read_pth(const std::filesystem::path& path);

}  // namespace rcnn
