// What kernels are written with: the CUDA toolkit, or its simulation on the CPU.
//
// A .cu file includes this header and no other header of CUDA. `make CUDA=1` compiles it with nvcc;
// `make CUDA=sim` compiles the same file with g++ against core/cuda/sim, which runs threads, blocks, warps
// and barriers on the CPU and reports faults that a GPU would let pass. Both require that kernels are started
// through `launch`, declare shared memory with RCNN_SHARED or dynamic_shared, and use no library of device
// code; `make lint` refuses the raw forms.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/device.h"
#include "core/error.h"
#include "core/host_device.h"

#if defined(RCNN_CUDA_SIM)

#include "core/cuda/sim/device_code.h"

#else

#include <cuda_runtime.h>

/// An array in shared memory, declared inside a kernel: RCNN_SHARED(float, tile, [32][33]). The name is a
/// separate argument, so that the simulation can give every block its own array.
#define RCNN_SHARED(Type, name, dimensions) __shared__ __align__(16) Type name dimensions

/// Marks an inner loop that must be unrolled. Write it on a separate line before the loop.
#define RCNN_UNROLL _Pragma("unroll")

#if defined(__CUDACC__)
namespace rcnn {

/// The shared memory whose size in bytes was given to `launch`, aligned to 128 bytes.
template <class T>
__device__ inline T* dynamic_shared() {
  extern __shared__ __align__(128) unsigned char rcnn_dynamic_shared[];
  return reinterpret_cast<T*>(rcnn_dynamic_shared);
}

}  // namespace rcnn
#endif

#endif

namespace rcnn {

namespace cuda {
/// `launch` raises the limit of a kernel that asks for more dynamic shared memory than this. CUDA's default
/// limit of 48 KiB also counts the declared arrays, so a kernel that asks for less must keep the sum of both
/// below that limit.
inline constexpr size_t kSmallDynamicShared = 16 * 1024;
/// Extracts the kernel's name from a function signature that ends in "Kernel = NAME..."; see launch.
std::string_view kernel_name(std::string_view signature);
/// Makes this host thread's calls of CUDA refer to `device`. Launches, copies, events and memory on a stream
/// need its device selected first.
void select(Device device);
/// Throws Error, which names the kernel and its launch shape, unless `status` is success.
void check_launch(cudaError_t status, std::string_view signature, dim3 grid, dim3 block, size_t shared_bytes);
}  // namespace cuda

/// Throws Error with CUDA's own words unless `status` is success: cuda_check(cudaFoo(...), "what was tried").
void cuda_check(cudaError_t status, std::string_view what);

/// The number of blocks of `size` that cover `count` items.
RCNN_HOST_DEVICE constexpr unsigned blocks_for(int64_t count, int64_t size) {
  return static_cast<unsigned>((count + size - 1) / size);
}

#if defined(__CUDACC__) || defined(RCNN_CUDA_SIM)  // host sources include this only for the runtime
/// Starts a kernel: launch<copy_kernel>(stream, grid, block, shared_bytes, arguments...). `shared_bytes` is
/// the dynamic shared memory; beyond 16 KiB the kernel's limit is raised first. With an empty grid nothing is
/// launched. Throws Error, which names the kernel and the launch shape, when CUDA refuses the launch.
template <auto Kernel, class... Args>
void launch(const Stream& stream, dim3 grid, dim3 block, size_t shared_bytes, const Args&... args) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  cuda::select(stream.device);
#if defined(RCNN_CUDA_SIM)
  const cudaError_t status =
      cuda_sim::launch<Kernel>(stream.handle, __PRETTY_FUNCTION__, grid, block, shared_bytes, args...);
#else
  if (shared_bytes > cuda::kSmallDynamicShared)
    cuda_check(
        cudaFuncSetAttribute(reinterpret_cast<const void*>(Kernel),
                             cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes)),
        "raising a kernel's shared memory limit");
  Kernel<<<grid, block, shared_bytes, stream.handle>>>(args...);
  const cudaError_t status = cudaGetLastError();
#endif
  cuda::check_launch(status, __PRETTY_FUNCTION__, grid, block, shared_bytes);
}
#endif

}  // namespace rcnn
