// CUDA C++ as kernels see it, for g++: built-in variables, qualifiers, vector types, barriers, warp
// operations, atomics and the tensor-core pipeline. See core/cuda/sim/scheduler.h for how threads run.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <tuple>
#include <type_traits>

#include "core/cuda/sim/runtime.h"

#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(bytes) alignas(bytes)

// clang-format off
struct uint3 { unsigned x, y, z; };
struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(8) int2 { int x, y; };
struct alignas(16) int4 { int x, y, z, w; };
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
struct alignas(4) uchar4 { unsigned char x, y, z, w; };
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline int2 make_int2(int x, int y) { return {x, y}; }
inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
inline uchar4 make_uchar4(unsigned char x, unsigned char y, unsigned char z, unsigned char w) { return {x, y, z, w}; }

inline int __popc(unsigned v) { return std::popcount(v); }
inline int __popcll(unsigned long long v) { return std::popcount(v); }
inline int __ffs(int v) { return __builtin_ffs(v); }
inline int __ffsll(long long v) { return __builtin_ffsll(v); }
inline int __clz(int v) { return std::countl_zero(static_cast<unsigned>(v)); }
inline int __clzll(long long v) { return std::countl_zero(static_cast<unsigned long long>(v)); }
inline unsigned __brev(unsigned v) {
  unsigned r = 0;
  for (int i = 0; i < 32; ++i, v >>= 1) r = r << 1 | (v & 1u);
  return r;
}
inline unsigned __float_as_uint(float v) { return std::bit_cast<unsigned>(v); }
inline int __float_as_int(float v) { return std::bit_cast<int>(v); }
inline float __uint_as_float(unsigned v) { return std::bit_cast<float>(v); }
inline float __int_as_float(int v) { return std::bit_cast<float>(v); }
// clang-format on

inline constexpr int warpSize = 32;

namespace rcnn::cuda_sim {

/// What the built-in variables of the running thread hold.
struct BuiltIns {
  uint3 thread_index, block_index;
  dim3 block_size, grid_size;
};
extern BuiltIns built_ins;

// ---- barriers and warps -------------------------------------------------------------------------

enum class Vote { none, any, all, count };
/// __syncthreads and its voting forms; `site` is the source line.
int block_barrier(const char* site, Vote vote, bool predicate);

/// An operation that the lanes of a warp do together. Every lane in `mask` brings its operand and gets its
/// result when the last lane has arrived; `resolve` is called once, with the operands and results of all
/// lanes.
struct WarpExchange {
  const void* operands[32];  // null for a lane that does not take part
  void* results[32];
  unsigned mask;
};
void warp_wait(const char* site, unsigned mask, const void* operand, void* result,
               void (*resolve)(const WarpExchange&));
/// This thread's lane in its warp.
unsigned lane();

struct ShuffleOperand {
  unsigned char bytes[8];
  unsigned source;
};
void resolve_shuffle(const WarpExchange& exchange);

template <class T>
T shuffle(const char* site, unsigned mask, T value, unsigned source) {
  static_assert(sizeof(T) <= 8 && std::is_trivially_copyable_v<T>);
  ShuffleOperand operand{{}, source};
  std::memcpy(operand.bytes, &value, sizeof value);
  unsigned char result[8];
  warp_wait(site, mask, &operand, result, resolve_shuffle);
  T taken;
  std::memcpy(&taken, result, sizeof taken);
  return taken;
}
/// The lane that this lane reads from: `at`, or itself if `at` is outside its group of `width` lanes.
inline unsigned shuffle_source(int at, int width) {
  const int self = static_cast<int>(lane()), first = self / width * width;
  return static_cast<unsigned>(at >= first && at < first + width ? at : self);
}
/// The bits of the lanes in `mask` whose predicate holds.
unsigned ballot(const char* site, unsigned mask, bool predicate);

// ---- memory -------------------------------------------------------------------------------------

/// The block's array for this declaration, poisoned when the block began.
void* shared_array(const void* declaration, size_t bytes, const char* name);
void* dynamic_shared_memory();
/// Notes an atomic access for the race check, made by the code at `caller`.
void note_atomic(const volatile void* address, size_t bytes, const void* caller);

void cp_async(void* shared, const void* global, int bytes, bool valid);
inline void cp_async_16(void* shared, const void* global, bool valid) { cp_async(shared, global, 16, valid); }
inline void cp_async_8(void* shared, const void* global, bool valid) { cp_async(shared, global, 8, valid); }
inline void cp_async_4(void* shared, const void* global, bool valid) { cp_async(shared, global, 4, valid); }
void cp_async_commit();
void cp_async_wait_group(int pending);
template <int N>
void cp_async_wait() {
  cp_async_wait_group(N);
}
void ldmatrix_x4(uint32_t (&r)[4], const void* row);
void ldmatrix_x4_trans(uint32_t (&r)[4], const void* row);
void ldmatrix_x2(uint32_t (&r)[2], const void* row);
void ldmatrix_x2_trans(uint32_t (&r)[2], const void* row);
void mma_m16n8k8_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);
void mma_m16n8k16_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);

// ---- launches -----------------------------------------------------------------------------------

struct Launch {
  std::string_view signature;  // ends in "Kernel = NAME..."
  dim3 grid, block;
  size_t shared_bytes;
  std::shared_ptr<const void> parameters;  // the kernel's parameters as a tuple
  void (*thread)(const void* parameters);  // what one thread does
};
cudaError_t enqueue(cudaStream_t stream, Launch launch);
/// Refuses an argument that holds a pointer to host memory. Words with padding, which differ in
/// `without_padding`, hold none.
cudaError_t check_argument(const void* argument, const void* without_padding, size_t bytes,
                           std::string_view signature, size_t index);

template <class Kernel>
struct Parameters;
template <class... P>
struct Parameters<void (*)(P...)> {
  using Tuple = std::tuple<std::decay_t<P>...>;
};

/// Each thread has a copy of the parameters on its own stack, so that a kernel touches only the device's
/// memory and its own stack.
template <auto Kernel, class Tuple>
__attribute__((no_sanitize("thread"))) void run_thread(const void* parameters) {
  Tuple own = *static_cast<const Tuple*>(parameters);
  std::apply(Kernel, own);
}

template <auto Kernel, class... Args>
cudaError_t launch(cudaStream_t stream, std::string_view signature, dim3 grid, dim3 block,
                   size_t shared_bytes, const Args&... args) {
  using Tuple = typename Parameters<decltype(+Kernel)>::Tuple;
  Tuple values(args...);
  cudaError_t status = cudaSuccess;
  std::apply(
      [&](const auto&... value) {
        size_t index = 0;
        [[maybe_unused]] const auto check = [&](const auto& argument) {
          // Of a copy: GCC 12 also clears bytes that are no padding, in structs with arrays of structs.
          auto without_padding = argument;
          __builtin_clear_padding(&without_padding);
          return check_argument(&argument, &without_padding, sizeof argument, signature, ++index);
        };
        ((status = status == cudaSuccess ? check(value) : status), ...);
      },
      values);
  if (status != cudaSuccess) return status;
  return enqueue(stream, {signature, grid, block, shared_bytes, std::make_shared<const Tuple>(values),
                          run_thread<Kernel, Tuple>});
}

}  // namespace rcnn::cuda_sim

#define threadIdx (::rcnn::cuda_sim::built_ins.thread_index)
#define blockIdx (::rcnn::cuda_sim::built_ins.block_index)
#define blockDim (::rcnn::cuda_sim::built_ins.block_size)
#define gridDim (::rcnn::cuda_sim::built_ins.grid_size)

#define RCNN_SIM_TEXT2(x) #x
#define RCNN_SIM_TEXT(x) RCNN_SIM_TEXT2(x)
#define RCNN_SIM_SITE __FILE__ ":" RCNN_SIM_TEXT(__LINE__)

#define __syncthreads() \
  static_cast<void>(::rcnn::cuda_sim::block_barrier(RCNN_SIM_SITE, ::rcnn::cuda_sim::Vote::none, false))
#define __syncthreads_or(p) \
  ::rcnn::cuda_sim::block_barrier(RCNN_SIM_SITE, ::rcnn::cuda_sim::Vote::any, (p) != 0)
#define __syncthreads_and(p) \
  ::rcnn::cuda_sim::block_barrier(RCNN_SIM_SITE, ::rcnn::cuda_sim::Vote::all, (p) != 0)
#define __syncthreads_count(p) \
  ::rcnn::cuda_sim::block_barrier(RCNN_SIM_SITE, ::rcnn::cuda_sim::Vote::count, (p) != 0)
#define __syncwarp(...) ::rcnn::cuda_sim::sync_warp(RCNN_SIM_SITE __VA_OPT__(, ) __VA_ARGS__)
#define __shfl_sync(...) ::rcnn::cuda_sim::shuffle_at(RCNN_SIM_SITE, __VA_ARGS__)
#define __shfl_up_sync(...) ::rcnn::cuda_sim::shuffle_up(RCNN_SIM_SITE, __VA_ARGS__)
#define __shfl_down_sync(...) ::rcnn::cuda_sim::shuffle_down(RCNN_SIM_SITE, __VA_ARGS__)
#define __shfl_xor_sync(...) ::rcnn::cuda_sim::shuffle_xor(RCNN_SIM_SITE, __VA_ARGS__)
#define __ballot_sync(mask, p) ::rcnn::cuda_sim::ballot(RCNN_SIM_SITE, mask, (p) != 0)
#define __any_sync(mask, p) (::rcnn::cuda_sim::ballot(RCNN_SIM_SITE, mask, (p) != 0) != 0 ? 1 : 0)
#define __all_sync(mask, p) (::rcnn::cuda_sim::ballot(RCNN_SIM_SITE, mask, !((p) != 0)) == 0 ? 1 : 0)
#define __trap() ::rcnn::cuda_sim::trap(RCNN_SIM_SITE)

namespace rcnn::cuda_sim {

void sync_warp(const char* site, unsigned mask = 0xFFFFFFFFu);
[[noreturn]] void trap(const char* site);

template <class T>
T shuffle_at(const char* site, unsigned mask, T value, int source, int width = 32) {
  const int first = static_cast<int>(lane()) / width * width;
  return shuffle(site, mask, value, static_cast<unsigned>(first + ((source % width) + width) % width));
}
template <class T>
T shuffle_up(const char* site, unsigned mask, T value, unsigned by, int width = 32) {
  return shuffle(site, mask, value, shuffle_source(static_cast<int>(lane()) - static_cast<int>(by), width));
}
template <class T>
T shuffle_down(const char* site, unsigned mask, T value, unsigned by, int width = 32) {
  return shuffle(site, mask, value, shuffle_source(static_cast<int>(lane() + by), width));
}
template <class T>
T shuffle_xor(const char* site, unsigned mask, T value, int with, int width = 32) {
  // Unlike the other shuffles, this one may read from groups before its own.
  const int self = static_cast<int>(lane()), at = self ^ with, end = (self / width + 1) * width;
  return shuffle(site, mask, value, static_cast<unsigned>(at < end ? at : self));
}

/// Applies `change` to the value at `address` as one step and returns the previous value. The scheduler
/// switches threads only at barriers and warp operations, so nothing can come between.
template <class T, class Change>
__attribute__((noinline, no_sanitize("thread"))) T atomic_change(T* address, Change change) {
  note_atomic(address, sizeof(T), __builtin_return_address(0));
  const T before = *address;
  *address = change(before);
  return before;
}

}  // namespace rcnn::cuda_sim

// clang-format off
template <class T> [[gnu::always_inline]] inline T atomicAdd(T* address, std::type_identity_t<T> value) { return rcnn::cuda_sim::atomic_change(address, [&](T v) { return static_cast<T>(v + value); }); }
template <class T> [[gnu::always_inline]] inline T atomicSub(T* address, std::type_identity_t<T> value) { return rcnn::cuda_sim::atomic_change(address, [&](T v) { return static_cast<T>(v - value); }); }
template <class T> [[gnu::always_inline]] inline T atomicMin(T* address, std::type_identity_t<T> value) { return rcnn::cuda_sim::atomic_change(address, [&](T v) { return std::min(v, value); }); }
template <class T> [[gnu::always_inline]] inline T atomicMax(T* address, std::type_identity_t<T> value) { return rcnn::cuda_sim::atomic_change(address, [&](T v) { return std::max(v, value); }); }
template <class T> [[gnu::always_inline]] inline T atomicAnd(T* address, std::type_identity_t<T> value) { return rcnn::cuda_sim::atomic_change(address, [&](T v) { return v & value; }); }
template <class T> [[gnu::always_inline]] inline T atomicOr(T* address, std::type_identity_t<T> value) { return rcnn::cuda_sim::atomic_change(address, [&](T v) { return v | value; }); }
template <class T> [[gnu::always_inline]] inline T atomicXor(T* address, std::type_identity_t<T> value) { return rcnn::cuda_sim::atomic_change(address, [&](T v) { return v ^ value; }); }
template <class T> [[gnu::always_inline]] inline T atomicExch(T* address, std::type_identity_t<T> value) { return rcnn::cuda_sim::atomic_change(address, [&](T) { return value; }); }
template <class T> [[gnu::always_inline]] inline T atomicCAS(T* address, std::type_identity_t<T> expected, std::type_identity_t<T> value) { return rcnn::cuda_sim::atomic_change(address, [&](T v) { return v == expected ? value : v; }); }
// clang-format on

/// An array in shared memory: RCNN_SHARED(float, tile, [32][33]). Every block has its own, poisoned before
/// the block begins.
#define RCNN_SHARED(Type, name, dimensions)                       \
  static constexpr char name##_declaration = 0;                   \
  Type(&name) dimensions = *reinterpret_cast<Type(*) dimensions>( \
      ::rcnn::cuda_sim::shared_array(&name##_declaration, sizeof(Type dimensions), #name))

#define RCNN_UNROLL _Pragma("GCC unroll 32")

namespace rcnn {

/// The shared memory whose size in bytes was given to `launch`.
template <class T>
T* dynamic_shared() {
  return static_cast<T*>(cuda_sim::dynamic_shared_memory());
}

}  // namespace rcnn
