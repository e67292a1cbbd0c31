#include "core/cuda/cuda.h"

#include <fmt/format.h>

#include <string>

#include "core/cuda/device.h"

namespace rcnn {

void cuda_check(cudaError_t status, std::string_view what) {
  if (status == cudaSuccess) return;
  const std::string words = cudaGetErrorString(status);
  static_cast<void>(cudaGetLastError());  // it is reported here; the next launch must not report it again
  throw Error(fmt::format("{}: {}", what, words));
}

namespace cuda {

std::string_view kernel_name(std::string_view signature) {
  std::string_view name = signature;
  if (const size_t at = name.find("Kernel = "); at != name.npos) name.remove_prefix(at + 9);
  // The name begins after the last "::" and ends at the first ';' or ']' outside template arguments.
  int depth = 0;
  size_t begin = 0, end = name.size();
  for (size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    if (c == '<' || c == '(' || c == '{') ++depth;
    if (c == '>' || c == ')' || c == '}') --depth;
    if (depth != 0) continue;
    if (c == ';' || c == ']') {
      end = i;
      break;
    }
    if (c == ':') begin = i + 1;
  }
  return name.substr(begin, end - begin);
}

void select(Device device) { cuda_check(cudaSetDevice(device.index), "selecting " + device.str()); }

void check_launch(cudaError_t status, std::string_view signature, dim3 grid, dim3 block,
                  size_t shared_bytes) {
  if (status == cudaSuccess) return;
  throw Error(fmt::format(
      "kernel {} with a grid of ({}, {}, {}), blocks of ({}, {}, {}) and {} bytes of shared memory: {}",
      kernel_name(signature), grid.x, grid.y, grid.z, block.x, block.y, block.z, shared_bytes,
      cudaGetErrorString(status)));
}

size_t free_memory(int index) {
  select({DeviceType::cuda, index});
  size_t free_bytes = 0, all = 0;
  cuda_check(cudaMemGetInfo(&free_bytes, &all), fmt::format("querying the free memory of cuda:{}", index));
  return free_bytes;
}

}  // namespace cuda

}  // namespace rcnn
