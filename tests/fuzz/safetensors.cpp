#include "core/files/safetensors.h"

#include "tests/fuzz/targets.h"

void rcnn::fuzz::safetensors(const std::filesystem::path& file) {
  size_t bytes = 0;
  for (const auto& [name, tensor] : read_safetensors(file).tensors) bytes += tensor.bytes();
  check(bytes <= 2 * std::filesystem::file_size(file),
        "the tensors have more bytes than the file");  // twice as many are allowed, because F16 becomes f32
}
