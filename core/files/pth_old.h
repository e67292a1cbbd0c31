// The form in which PyTorch wrote .pth files before version 1.6, and still does on request
// (_use_new_zipfile_serialization=False). The file holds, one after the other:
//
//   a pickle of a fixed number, one of the form's version, 1001, and one of the byte order
//   the pickle that describes the tensors, as in the zip form (core/files/pth_state_dict.h)
//   a pickle of the list of the storages' keys
//   for each key the number of its elements, in 8 bytes, and the elements
//
// It is read as safely as the zip form: pickles are data alone, and every size is checked against what the
// file still holds before memory is allocated.
#pragma once

#include <filesystem>

#include "core/files/safetensors.h"

namespace rcnn {

/// Whether the file begins with the fixed number.
bool is_old_pth(const std::filesystem::path& path);

/// Reads such a file. See read_pth for what is read, and for what it throws. It also refuses a list of keys
/// that has one twice, and a storage of which nothing says the type.
SafetensorsFile read_old_pth(const std::filesystem::path& path);

}  // namespace rcnn
