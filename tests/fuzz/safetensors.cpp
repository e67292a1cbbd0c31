#include "core/files/safetensors.h"

#include "tests/fuzz/targets.h"

void rcnn::fuzz::safetensors(const std::filesystem::path& file) {
  size_t bytes = 0;
  for (const auto& [name, tensor] : read_safetensors(file).tensors) bytes += tensor.bytes();
  check(bytes <= 2 * std::filesystem::file_size(file),
        "tensors of more bytes than the file has");  // F16 doubles
}
