// ldmatrix and mma.sync on the CPU, with the fragment layouts of the PTX ISA; see core/cuda/mma.h.
#include <cmath>

#include "core/bf16.h"
#include "core/cuda/sim/access_check.h"
#include "core/cuda/sim/device_code.h"

namespace rcnn::cuda_sim {
namespace {

constexpr unsigned kFullWarp = 0xFFFFFFFFu;

// ---- ldmatrix -----------------------------------------------------------------------------------

/// Every lane's operand is a pointer to its row, and its result is MATRICES registers.
template <int MATRICES, bool TRANSPOSED>
void resolve_ldmatrix(const WarpExchange& e) {
  for (int matrix = 0; matrix < MATRICES; ++matrix) {
    uint16_t rows[8][8];
    for (int row = 0; row < 8; ++row) {
      const void* address = *static_cast<const void* const*>(e.operands[matrix * 8 + row]);
      std::memcpy(rows[row], address, 16);
    }
    for (int lane = 0; lane < 32; ++lane) {
      const int a = lane / 4, b = lane % 4 * 2;
      const uint16_t low = TRANSPOSED ? rows[b][a] : rows[a][b],
                     high = TRANSPOSED ? rows[b + 1][a] : rows[a][b + 1];
      static_cast<uint32_t*>(e.results[lane])[matrix] = static_cast<uint32_t>(high) << 16 | low;
    }
  }
}

template <int MATRICES, bool TRANSPOSED>
void ldmatrix(uint32_t* r, const void* row, const void* caller) {
  if (static_cast<int>(lane()) < MATRICES * 8) watch_access(row, 16, Access::read, caller);
  warp_wait("ldmatrix", kFullWarp, &row, r, resolve_ldmatrix<MATRICES, TRANSPOSED>);
}

// ---- mma ----------------------------------------------------------------------------------------

struct Fragments {
  const uint32_t *a, *b;
  const float* d;
};

const Fragments& of(const WarpExchange& e, int lane) {
  return *static_cast<const Fragments*>(e.operands[lane]);
}

/// The hardware ignores the other bits.
float tf32_value(uint32_t bits) { return std::bit_cast<float>(bits & 0xFFFFE000u); }
float bf16_value(uint32_t word, int half) {
  return to_float(bf16{static_cast<uint16_t>(word >> (16 * half))});
}

/// D += A B for A (16 x K) and B (K x 8). Sums in float, with k ascending.
template <int K>
void multiply(const WarpExchange& e, const float (&a)[16][K], const float (&b)[K][8]) {
  for (int lane = 0; lane < 32; ++lane) {
    auto* d = static_cast<float*>(e.results[lane]);
    for (int i = 0; i < 4; ++i) {
      const int row = lane / 4 + (i < 2 ? 0 : 8), column = lane % 4 * 2 + i % 2;
      float sum = of(e, lane).d[i];
      for (int k = 0; k < K; ++k) sum = std::fma(a[row][k], b[k][column], sum);
      d[i] = sum;
    }
  }
}

void resolve_tf32(const WarpExchange& e) {
  float a[16][8], b[8][8];
  for (int lane = 0; lane < 32; ++lane) {
    const int group = lane / 4, t = lane % 4;
    const Fragments& f = of(e, lane);
    for (int i = 0; i < 4; ++i) a[group + (i % 2) * 8][t + (i / 2) * 4] = tf32_value(f.a[i]);
    for (int i = 0; i < 2; ++i) b[t + i * 4][group] = tf32_value(f.b[i]);
  }
  multiply<8>(e, a, b);
}

void resolve_bf16(const WarpExchange& e) {
  float a[16][16], b[16][8];
  for (int lane = 0; lane < 32; ++lane) {
    const int group = lane / 4, t = lane % 4;
    const Fragments& f = of(e, lane);
    for (int half = 0; half < 2; ++half) {
      for (int i = 0; i < 4; ++i)
        a[group + (i % 2) * 8][2 * t + half + (i / 2) * 8] = bf16_value(f.a[i], half);
      for (int i = 0; i < 2; ++i) b[2 * t + half + i * 8][group] = bf16_value(f.b[i], half);
    }
  }
  multiply<16>(e, a, b);
}

}  // namespace

void ldmatrix_x4(uint32_t (&r)[4], const void* row) {
  ldmatrix<4, false>(r, row, __builtin_return_address(0));
}
void ldmatrix_x4_trans(uint32_t (&r)[4], const void* row) {
  ldmatrix<4, true>(r, row, __builtin_return_address(0));
}
void ldmatrix_x2(uint32_t (&r)[2], const void* row) {
  ldmatrix<2, false>(r, row, __builtin_return_address(0));
}
void ldmatrix_x2_trans(uint32_t (&r)[2], const void* row) {
  ldmatrix<2, true>(r, row, __builtin_return_address(0));
}

void mma_m16n8k8_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  const Fragments mine{a, b, d};
  warp_wait("mma.m16n8k8", kFullWarp, &mine, d, resolve_tf32);
}
void mma_m16n8k16_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  const Fragments mine{a, b, d};
  warp_wait("mma.m16n8k16", kFullWarp, &mine, d, resolve_bf16);
}

}  // namespace rcnn::cuda_sim
