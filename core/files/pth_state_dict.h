// What the two forms of a .pth file have in common: the pickle that describes the tensors.
//
//   {"fc.weight": _rebuild_tensor_v2(storage "0", offset, sizes, strides, ...), "epoch": 25, ...}
//
// The forms differ in where the storages, the plain elements, lie.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/files/pickle.h"
#include "core/files/safetensors.h"

namespace rcnn {

/// Everything that a pickle in a .pth file may name.
std::span<const PickleGlobal> pth_globals();

/// The bytes of an element of a storage of this class ("torch.FloatStorage"); 0 for an unknown class.
int64_t pth_element_bytes(std::string_view storage_class);

/// A storage as a pickle refers to it.
struct PthStorageId {
  std::string_view storage_class;  // of pth_globals
  std::string key;
  int64_t elements = 0;  // not checked
};
/// Nothing for a value that is not the id of a storage in PyTorch's form.
std::optional<PthStorageId> pth_storage_id(const Pickle& pickle, const PickleValue& value);

/// Where the storages of a file lie.
class PthStorages {
 public:
  virtual ~PthStorages() = default;
  /// The size in bytes of the storage with this key; nothing if the file has none.
  virtual std::optional<uint64_t> bytes_of(const std::string& key) const = 0;
  /// The content of a storage that the file has.
  virtual std::vector<std::byte> read(const std::string& key) const = 0;
  /// What holds the storage, for messages: `record "archive/data/0"`.
  virtual std::string place_of(const std::string& key) const = 0;
};

/// Reads the tensors that `pickle` describes from `storages`, one storage at a time. `file` is for messages,
/// and `file_size` bounds the memory that the tensors may take. See read_pth for which tensors these are and
/// for what it throws.
SafetensorsFile read_state_dict(const std::string& file, uint64_t file_size, const Pickle& pickle,
                                const PthStorages& storages);

}  // namespace rcnn
