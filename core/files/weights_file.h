// Weights from anybody: the file formats that are read, told apart by content.
#pragma once

#include <filesystem>

#include "core/files/safetensors.h"

namespace rcnn {

/// Reads a safetensors file or PyTorch's .pth or .pt, whatever the file's name. Throws InputError, a sentence
/// that names the file: where it is missing, which says where public weights are described, and as
/// read_safetensors and read_pth do.
SafetensorsFile read_weights_file(const std::filesystem::path& path);

}  // namespace rcnn
