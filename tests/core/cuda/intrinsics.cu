// One warp, unless said otherwise, runs each instruction on inputs that the kernel makes itself or reads, and
// writes what every lane got. tests/core/cuda/test_intrinsics.cpp compares the results.
#include "tests/core/cuda/intrinsics.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "core/cuda/device.h"
#include "core/cuda/mma.h"
#include "core/rng.h"
#include "core/tensor.h"

namespace rcnn {
namespace {

constexpr int kWarp = 32;
using Words = std::vector<uint32_t>;

__device__ inline uint32_t word_of(float value) { return __float_as_uint(value); }
__device__ inline float float_of(uint32_t word) { return __uint_as_float(word); }

// ---- ldmatrix, cp.async -------------------------------------------------------------------------

enum class Load : int { x4, x4_trans, x2, x2_trans };

/// 32 rows of 8 elements of 16 bits, 48 bytes apart; out holds 4 words per lane (2 and zeros for x2).
__global__ void ldmatrix_kernel(const uint32_t* in, uint32_t* out, Load load) {
  RCNN_SHARED(uint32_t, tile, [32][12]);
  const int lane = static_cast<int>(threadIdx.x);
  for (int i = 0; i < 4; ++i) tile[lane][i] = in[lane * 4 + i];
  __syncthreads();
  uint32_t four[4] = {}, two[2] = {};
  if (load == Load::x4) cuda::ldmatrix_x4(four, tile[lane]);
  if (load == Load::x4_trans) cuda::ldmatrix_x4_trans(four, tile[lane]);
  if (load == Load::x2) cuda::ldmatrix_x2(two, tile[lane % 16]);
  if (load == Load::x2_trans) cuda::ldmatrix_x2_trans(two, tile[lane % 16]);
  const bool all = load == Load::x4 || load == Load::x4_trans;
  for (int i = 0; i < 4; ++i) out[lane * 4 + i] = all ? four[i] : i < 2 ? two[i] : 0;
}

/// Every lane copies 16 bytes in pieces, every third piece of which is invalid and becomes zeros.
__global__ void cp_async_kernel(const uint32_t* in, uint32_t* out, int words_per_piece) {
  RCNN_SHARED(uint32_t, target, [32][4]);
  const int lane = static_cast<int>(threadIdx.x);
  for (int i = 0; i < 4; ++i) target[lane][i] = 0xDEADBEEFu;
  __syncthreads();
  for (int i = 0; i < 4; i += words_per_piece) {
    const bool valid = (lane * 4 + i) / words_per_piece % 3 != 2;
    const uint32_t* from = valid ? in + lane * 4 + i : nullptr;
    if (words_per_piece == 4) cuda::cp_async_16(&target[lane][i], from, valid);
    if (words_per_piece == 2) cuda::cp_async_8(&target[lane][i], from, valid);
    if (words_per_piece == 1) cuda::cp_async_4(&target[lane][i], from, valid);
    cuda::cp_async_commit();
  }
  cuda::cp_async_wait<0>();
  __syncthreads();
  for (int i = 0; i < 4; ++i) out[lane * 4 + i] = target[(lane + 5) % 32][i];
}

// ---- mma ----------------------------------------------------------------------------------------

/// d += a b: a is (16 x 8 words), b (8 words x 8, stored by columns), d (16 x 8), as the fragments of
/// core/cuda/mma.h. A word holds one TF32 value or two bf16 values.
template <bool kBf16>
__global__ void mma_kernel(const uint32_t* a, const uint32_t* b, const uint32_t* d, uint32_t* out) {
  const int group = static_cast<int>(threadIdx.x) / 4, t = static_cast<int>(threadIdx.x) % 4;
  const uint32_t fa[4] = {a[group * 8 + t], a[(group + 8) * 8 + t], a[group * 8 + t + 4],
                          a[(group + 8) * 8 + t + 4]};
  const uint32_t fb[2] = {b[group * 8 + t], b[group * 8 + t + 4]};
  float fd[4];
  for (int i = 0; i < 4; ++i) fd[i] = float_of(d[(group + i / 2 * 8) * 8 + 2 * t + i % 2]);
  if constexpr (kBf16)
    cuda::mma_m16n8k16_bf16(fd, fa, fb);
  else
    cuda::mma_m16n8k8_tf32(fd, fa, fb);
  for (int i = 0; i < 4; ++i) out[(group + i / 2 * 8) * 8 + 2 * t + i % 2] = word_of(fd[i]);
}

// ---- warps and blocks ---------------------------------------------------------------------------

constexpr int kShuffles = 16;

__global__ void shuffle_kernel(const uint32_t* in, uint32_t* out) {
  constexpr unsigned kAll = 0xFFFFFFFFu;
  const int lane = static_cast<int>(threadIdx.x);
  const uint32_t value = in[lane];
  uint32_t* to = out + lane * kShuffles;
  to[0] = __shfl_sync(kAll, value, 7);
  to[1] = __shfl_sync(kAll, value, lane * 3 + 1);  // beyond the warp: modulo its width
  to[2] = __shfl_sync(kAll, value, 5, 8);
  to[3] = __shfl_sync(kAll, value, -1);
  to[4] = __shfl_up_sync(kAll, value, 1);
  to[5] = __shfl_up_sync(kAll, value, 3, 8);
  to[6] = __shfl_down_sync(kAll, value, 1);
  to[7] = __shfl_down_sync(kAll, value, 9, 16);
  to[8] = __shfl_xor_sync(kAll, value, 16);
  to[9] = __shfl_xor_sync(kAll, value, 5);
  to[10] = __shfl_xor_sync(kAll, value, 12, 8);
  to[11] = word_of(__shfl_xor_sync(kAll, float_of(value), 1));
  const auto wide = __shfl_down_sync(kAll, static_cast<unsigned long long>(value) << 32 | 0x55u, 2);
  to[12] = static_cast<uint32_t>(wide >> 32);
  to[13] = static_cast<uint32_t>(wide);
  to[14] = to[15] = 0;
  if (lane < 20) {  // a part of the warp
    to[14] = __shfl_xor_sync(0xFFFFFu, value, 2);
    to[15] = __shfl_up_sync(0xFFFFFu, value, 2, 4);
  }
}

constexpr int kVotes = 8;

/// 80 threads: two warps and a half.
__global__ void vote_kernel(const uint32_t* in, uint32_t* out) {
  const int i = static_cast<int>(threadIdx.x), lane = i % 32;
  const unsigned warp = i < 64 ? 0xFFFFFFFFu : 0xFFFFu;
  const bool odd = (in[lane] & 1u) != 0;
  uint32_t* to = out + i * kVotes;
  to[0] = __ballot_sync(warp, odd);
  to[1] = static_cast<uint32_t>(__any_sync(warp, lane == 3));
  to[2] = static_cast<uint32_t>(__all_sync(warp, lane != 3));
  to[3] = 0;
  if (lane % 2 == 0) to[3] = __ballot_sync(warp & 0x55555555u, odd);
  __syncwarp(warp);
  to[4] = static_cast<uint32_t>(__syncthreads_count(odd));
  to[5] = static_cast<uint32_t>(__syncthreads_or(i == 79)) != 0;
  to[6] = static_cast<uint32_t>(__syncthreads_and(i != 79)) != 0;
  to[7] = static_cast<uint32_t>(__popc(in[lane])) |
          static_cast<uint32_t>(__clz(static_cast<int>(in[lane]))) << 8 |
          static_cast<uint32_t>(__ffs(static_cast<int>(in[lane]))) << 16;
}

// ---- arithmetic in f32 --------------------------------------------------------------------------

constexpr int kOperations = 12, kFunctions = 6;

/// What IEEE 754 defines, NaN apart (its payload is the processor's choice).
__global__ void arithmetic_kernel(const uint32_t* in, uint32_t* out, int count) {
  const int i = static_cast<int>(threadIdx.x);
  if (i >= count) return;
  const float a = float_of(in[i]), b = float_of(in[(i + 1) % count]), c = float_of(in[(i + 2) % count]);
  uint32_t* to = out + i * kOperations;
  const auto put = [&](int at, float value) { to[at] = value == value ? word_of(value) : 0x7FC00000u; };
  put(0, a + b);
  put(1, a * b);
  put(2, a / b);
  put(3, sqrtf(fabsf(a)));
  put(4, fmaf(a, b, c));
  put(5, a * b + c);  // rounded twice: not contracted
  put(6, floorf(a));
  put(7, rintf(a));
  put(8, static_cast<float>(static_cast<double>(a) * static_cast<double>(b) + static_cast<double>(c)));
  to[9] = a == a ? to_bf16(a).bits : 0;
  to[10] = a == a ? cuda::to_tf32(a) & 0xFFFFE000u : 0;  // the others do not count
  put(11, fmaxf(a, b) + 0.0f);                           // of 0 and -0 either may be returned
}

/// Functions of the math library.
__global__ void function_kernel(const uint32_t* in, uint32_t* out, int count) {
  const int i = static_cast<int>(threadIdx.x);
  if (i >= count) return;
  const float a = float_of(in[i]);
  uint32_t* to = out + i * kFunctions;
  to[0] = word_of(expf(a));
  to[1] = word_of(logf(fabsf(a)));
  to[2] = word_of(log1pf(fabsf(a)));
  to[3] = word_of(static_cast<float>(exp(static_cast<double>(a))));
  to[4] = word_of(static_cast<float>(log(fabs(static_cast<double>(a)))));
  to[5] = word_of(static_cast<float>(log2(fabs(static_cast<double>(a)))));
}

// ---- inputs -------------------------------------------------------------------------------------

uint32_t bits_of(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

Words counted(size_t count, uint32_t first, uint32_t step) {
  Words words;
  for (size_t i = 0; i < count; ++i) words.push_back(first + static_cast<uint32_t>(i) * step);
  return words;
}

/// Operands of an mma: a (16 x k), b by columns (8 x k), d (16 x 8).
struct Operands {
  std::vector<float> a, b, d;
};

/// Small integers: every order of addition gives the same sum.
Operands integers(int k) {
  Operands o;
  const auto element = [](int row, int column) {
    return static_cast<float>((row * 7 + column * 13 + row * column) % 17 - 8);
  };
  for (int i = 0; i < 16 * k; ++i) o.a.push_back(element(i / k, i % k));
  for (int i = 0; i < 8 * k; ++i) o.b.push_back(element(i % k + 20, i / k));
  for (int i = 0; i < 128; ++i) o.d.push_back(static_cast<float>(3 * (i / 8 - i % 8)));
  return o;
}

Operands random_numbers(int k, uint32_t start) {
  Operands o;
  const auto number = [&](int i) { return uniform_number(start, static_cast<uint32_t>(i)); };
  for (int i = 0; i < 16 * k; ++i) o.a.push_back(number(i));
  for (int i = 0; i < 8 * k; ++i) o.b.push_back(number(1000 + i));
  for (int i = 0; i < 128; ++i) o.d.push_back(number(2000 + i));
  return o;
}

/// b is all ones, so row r and column c give d(c) plus the sum of row r of a: each row is one question.
Operands rounding_probe(int k) {
  Operands o;
  const int last = k - 1;
  const auto two = [](int exponent) { return std::ldexp(1.0f, exponent); };
  const float infinity = std::numeric_limits<float>::infinity();
  for (int row = 0; row < 16; ++row)
    for (int i = 0; i < k; ++i) {
      const float values[16] = {two(-24),                      // many halves of the last place of 1
                                i == 0 ? two(-24) : 0,         // one of them: a tie
                                i == 0 ? 1.5f * two(-24) : 0,  // rounds up unless sums are truncated
                                i < 2 ? two(-25) : 0,          // a tie in two pieces
                                two(-26),
                                two(-28),  // how many bits below the last are kept
                                i == 0      ? 1
                                : i == last ? 1.5f * two(-24)
                                            : 0,  // two products instead of d and a product
                                i == 0      ? two(24)
                                : i == 1    ? 1.0f
                                : i == last ? -two(24)
                                            : 0,  // is the 1 lost before it cancels
                                i % 4 == 0   ? two(30)
                                : i % 4 == 2 ? -two(30)
                                             : 1,                  // and in pairs
                                0.333984375f,                      // a bf16 value near 1/3
                                i < k / 2 ? two(-24) : -two(-24),  // halves that cancel
                                i == last ? -0.0f : 0.0f,
                                i == 0 ? -1.5f * two(-24) : 0,  // truncation towards 0 or downwards
                                i == 0 ? two(-130) : 0,         // is a number below 2^-126 kept
                                i == 0   ? infinity
                                : i == 1 ? -infinity
                                         : 0,
                                two(127)};
      o.a.push_back(values[row]);
    }
  o.b.assign(static_cast<size_t>(8 * k), 1.0f);
  const float starts[8] = {0, 1, -1, two(24), -two(24), 1 + two(-23), two(-126), 1000.25f};
  for (int i = 0; i < 128; ++i) o.d.push_back(starts[i % 8]);
  return o;
}

/// Values that f32 arithmetic treats specially, and ordinary ones.
Words floats() {
  Words words = {0x00000000u, 0x80000000u, 0x00000001u, 0x807FFFFFu, 0x00800000u, 0x7F7FFFFFu, 0x7F800000u,
                 0xFF800000u, 0x7FC00000u, 0x3F800001u, 0x3F7FFFFFu, 0x4B000001u, 0xC0200000u, 0x3F000000u};
  for (uint32_t i = 0; words.size() < 128; ++i) {
    const float scale = std::ldexp(1.0f, static_cast<int>(i % 40) - 20);
    words.push_back(bits_of(uniform_number(77, i) * scale));
  }
  return words;
}

// ---- running them -------------------------------------------------------------------------------

/// Words in device memory.
struct OnDevice {
  Tensor tensor;
  OnDevice(Device device, size_t count)
      : tensor(Tensor::zeros({static_cast<int64_t>(count)}, DType::i32, device)) {}
  OnDevice(Device device, const Words& words) : OnDevice(device, words.size()) {
    cuda::upload(device, get(), words.data(), words.size() * sizeof(uint32_t));
  }
  uint32_t* get() const { return reinterpret_cast<uint32_t*>(tensor.mutable_data<int32_t>()); }
  Words words() const {
    const Tensor host = tensor.to(Device{});
    const auto* begin = reinterpret_cast<const uint32_t*>(host.data<int32_t>());
    return {begin, begin + host.numel()};
  }
};

Words tf32_words(const std::vector<float>& values, bool rounded) {
  Words words;
  for (const float value : values) words.push_back(rounded ? cuda::to_tf32(value) : bits_of(value));
  return words;
}

Words bf16_words(const std::vector<float>& values) {
  Words words;
  for (size_t i = 0; i < values.size(); i += 2)
    words.push_back(static_cast<uint32_t>(to_bf16(values[i + 1]).bits) << 16 | to_bf16(values[i]).bits);
  return words;
}

template <bool kBf16>
Words run_mma(Device device, const Operands& o, bool rounded = true) {
  const auto words = [&](const std::vector<float>& values) {
    return OnDevice(device, kBf16 ? bf16_words(values) : tf32_words(values, rounded));
  };
  const OnDevice a = words(o.a), b = words(o.b), d(device, tf32_words(o.d, false)), out(device, 128);
  launch<mma_kernel<kBf16>>(cuda::work_stream(device), 1, kWarp, 0, a.get(), b.get(), d.get(), out.get());
  return out.words();
}

}  // namespace

std::vector<Intrinsic> run_intrinsics(Device device) {
  const Stream stream = cuda::work_stream(device);
  std::vector<Intrinsic> all;
  const OnDevice numbers(device, counted(128, 0x00020001u, 0x00020002u));  // halves 1, 2, 3, ...
  const std::pair<Load, const char*> loads[] = {{Load::x4, "ldmatrix_x4"},
                                                {Load::x4_trans, "ldmatrix_x4_trans"},
                                                {Load::x2, "ldmatrix_x2"},
                                                {Load::x2_trans, "ldmatrix_x2_trans"}};
  for (const auto& [load, name] : loads) {
    const OnDevice out(device, 128);
    launch<ldmatrix_kernel>(stream, 1, kWarp, 0, numbers.get(), out.get(), load);
    all.push_back({name, Rule::exact, out.words()});
  }
  for (const int words : {4, 2, 1}) {
    const OnDevice out(device, 128);
    launch<cp_async_kernel>(stream, 1, kWarp, 0, numbers.get(), out.get(), words);
    all.push_back({"cp_async_" + std::to_string(words * 4), Rule::exact, out.words()});
  }

  const OnDevice lanes(device, counted(32, 0x3F800000u, 0x00012345u));
  const OnDevice shuffled(device, 32 * kShuffles), votes(device, 80 * kVotes);
  launch<shuffle_kernel>(stream, 1, kWarp, 0, lanes.get(), shuffled.get());
  all.push_back({"shuffle", Rule::exact, shuffled.words()});
  launch<vote_kernel>(stream, 1, 80, 0, lanes.get(), votes.get());
  all.push_back({"vote", Rule::exact, votes.words()});

  all.push_back({"mma_tf32_integers", Rule::exact, run_mma<false>(device, integers(8))});
  all.push_back({"mma_bf16_integers", Rule::exact, run_mma<true>(device, integers(16))});
  all.push_back({"mma_tf32_random", Rule::of_card, run_mma<false>(device, random_numbers(8, 1))});
  all.push_back({"mma_bf16_random", Rule::of_card, run_mma<true>(device, random_numbers(16, 2))});
  all.push_back({"mma_tf32_rounding", Rule::of_card, run_mma<false>(device, rounding_probe(8))});
  all.push_back({"mma_bf16_rounding", Rule::of_card, run_mma<true>(device, rounding_probe(16))});
  all.push_back({"mma_tf32_low_bits", Rule::of_card, run_mma<false>(device, random_numbers(8, 3), false)});

  const Words values = floats();
  const OnDevice in(device, values), results(device, values.size() * kOperations),
      functions(device, values.size() * kFunctions);
  const auto count = static_cast<int>(values.size());
  launch<arithmetic_kernel>(stream, 1, 128, 0, in.get(), results.get(), count);
  all.push_back({"arithmetic", Rule::exact, results.words()});
  launch<function_kernel>(stream, 1, 128, 0, in.get(), functions.get(), count);
  all.push_back({"functions", Rule::shown, functions.words()});
  return all;
}

}  // namespace rcnn
