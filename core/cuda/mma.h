// The instructions of the tensor-core pipeline: asynchronous copies to shared memory, matrix loads, matrix
// multiply-accumulate. Each is one PTX instruction; in the simulation it is a CPU function with the same
// fragment layouts (core/cuda/sim/tensor_core.cpp). All need sm_80.
//
// A warp multiplies A (m x k) by B (k x n). With lane = 4 * group + t, group in [0, 8), t in [0, 4), lane
// holds (PTX ISA, "Matrix multiply-accumulate operation using mma instruction"):
//
//     d[0..3], both shapes:    D(group, 2t), D(group, 2t+1), D(group+8, 2t), D(group+8, 2t+1)
//     m16n8k8 tf32:   a[0..3]  A(group, t), A(group+8, t), A(group, t+4), A(group+8, t+4)
//                     b[0..1]  B(t, group), B(t+4, group)
//     m16n8k16 bf16:  a[0..3]  A(group, 2t..), A(group+8, 2t..), A(group, 2t+8..), A(group+8, 2t+8..)
//                     b[0..1]  B(2t.., group), B(2t+8.., group)     two values per word, the lower index low
#pragma once

#include <cstdint>
#include <cstring>

#include "core/bf16.h"
#include "core/cuda/cuda.h"
#include "core/tf32.h"

namespace rcnn::cuda {

#if defined(RCNN_CUDA_SIM)

// In the simulation these are functions of core/cuda/sim.
using cuda_sim::cp_async_16;
using cuda_sim::cp_async_4;
using cuda_sim::cp_async_8;
using cuda_sim::cp_async_commit;
using cuda_sim::cp_async_wait;
using cuda_sim::ldmatrix_x2;
using cuda_sim::ldmatrix_x2_trans;
using cuda_sim::ldmatrix_x4;
using cuda_sim::ldmatrix_x4_trans;
using cuda_sim::mma_m16n8k16_bf16;
using cuda_sim::mma_m16n8k8_tf32;

#else

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
#define RCNN_SM80(instruction) __trap()  // the op tables never choose such a kernel on an older card
#else
#define RCNN_SM80(instruction) instruction
#endif

__device__ inline uint32_t shared_address(const void* shared) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(shared));
}

/// Starts to copy BYTES bytes from global to shared memory; both pointers must be aligned to BYTES. Unless
/// `valid`, zeros are written instead and `global` is not read. The data is visible to this thread after
/// cp_async_wait, and to other threads after a barrier that follows it.
template <int BYTES>
__device__ inline void cp_async(void* shared, const void* global, bool valid) {
  if constexpr (BYTES == 16)
    RCNN_SM80(asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)),
                           "l"(global), "r"(valid ? 16 : 0)
                           : "memory"));
  else
    RCNN_SM80(asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(shared_address(shared)),
                           "l"(global), "n"(BYTES), "r"(valid ? BYTES : 0)
                           : "memory"));
}
__device__ inline void cp_async_16(void* shared, const void* global, bool valid) {
  cp_async<16>(shared, global, valid);
}
__device__ inline void cp_async_8(void* shared, const void* global, bool valid) {
  cp_async<8>(shared, global, valid);
}
__device__ inline void cp_async_4(void* shared, const void* global, bool valid) {
  cp_async<4>(shared, global, valid);
}
/// Closes a group of this thread's copies.
__device__ inline void cp_async_commit() { RCNN_SM80(asm volatile("cp.async.commit_group;" ::: "memory")); }
/// Waits until at most the N latest of this thread's groups are still pending.
template <int N>
__device__ inline void cp_async_wait() {
  RCNN_SM80(asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory"));
}

/// Loads four 8x8 matrices of 16-bit elements. Lane l points to row l % 8 (16 bytes) of matrix l / 8. Its
/// register r[i] receives the elements (l / 4, 2 (l % 4)) and (l / 4, 2 (l % 4) + 1) of matrix i, which the
/// functions ending in _trans transpose.
__device__ inline void ldmatrix_x4(uint32_t (&r)[4], const void* row) {
  RCNN_SM80(asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                         : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                         : "r"(shared_address(row))
                         : "memory"));
}
__device__ inline void ldmatrix_x4_trans(uint32_t (&r)[4], const void* row) {
  RCNN_SM80(asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                         : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                         : "r"(shared_address(row))
                         : "memory"));
}
/// The same for two matrices: lanes 0 to 15 point to their rows, and the other lanes' pointers are not used.
__device__ inline void ldmatrix_x2(uint32_t (&r)[2], const void* row) {
  RCNN_SM80(asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
                         : "=r"(r[0]), "=r"(r[1])
                         : "r"(shared_address(row))
                         : "memory"));
}
__device__ inline void ldmatrix_x2_trans(uint32_t (&r)[2], const void* row) {
  RCNN_SM80(asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
                         : "=r"(r[0]), "=r"(r[1])
                         : "r"(shared_address(row))
                         : "memory"));
}

/// d += A B with A and B rounded to TF32 beforehand (to_tf32), accumulated in float.
__device__ inline void mma_m16n8k8_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  RCNN_SM80(
      asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
                   "{%8, %9}, {%0, %1, %2, %3};"
                   : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                   : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1])));
}
/// d += A B in bf16, accumulated in float.
__device__ inline void mma_m16n8k16_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  RCNN_SM80(
      asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
                   "{%8, %9}, {%0, %1, %2, %3};"
                   : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                   : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1])));
}

#endif

}  // namespace rcnn::cuda
