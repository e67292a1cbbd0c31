// Reads weights in all supported file formats, which are told apart by content.
#pragma once

#include <filesystem>

#include "core/files/safetensors.h"

namespace rcnn {

/// Reads a safetensors file or PyTorch's .pth or .pt, whatever the file's name. Throws InputError naming the
/// file if it is missing (the message says where public weights are described), if it is of another known
/// format (the message says which), and as read_safetensors and read_pth do.
SafetensorsFile read_weights_file(const std::filesystem::path& path);

}  // namespace rcnn
