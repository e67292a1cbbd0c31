// A vector of floats, as wide as the registers of an instruction set.
//
// A translation unit includes this header after `#pragma GCC target`, so that everything here is compiled for
// the instruction set that the pragma names. Everything is inlined or has internal linkage: the linker must
// not merge a function with its namesake of another instruction set.
//
// `Isa` describes the instruction set:
//
//     using Register                      a GCC vector of floats
//     fill(value), fma(a, b, c)           a register of equal values; a * b + c
//     kFused                              whether fma rounds once
//     kTileRows, kTileVectors             the register tile of the matrix product
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <utility>

#include "kernels/gemm/always_inline.h"

namespace rcnn::kernels {
namespace {

/// One register of floats.
template <class Isa>
struct Floats {
  using Register = typename Isa::Register;
  static constexpr int kLanes = sizeof(Register) / sizeof(float);
  Register v;

  /// Addresses need no alignment.
  RCNN_ALWAYS_INLINE static Floats load(const float* from) {
    Floats floats;
    std::memcpy(&floats.v, from, sizeof(Register));
    return floats;
  }
  RCNN_ALWAYS_INLINE void store(float* to) const { std::memcpy(to, &v, sizeof(Register)); }
  RCNN_ALWAYS_INLINE static Floats fill(float value) { return {Isa::fill(value)}; }

  RCNN_ALWAYS_INLINE friend Floats operator+(const Floats& a, const Floats& b) { return {a.v + b.v}; }
  RCNN_ALWAYS_INLINE friend Floats operator-(const Floats& a, const Floats& b) { return {a.v - b.v}; }
  RCNN_ALWAYS_INLINE friend Floats operator*(const Floats& a, const Floats& b) { return {a.v * b.v}; }
  RCNN_ALWAYS_INLINE friend Floats operator*(const Floats& a, int factor) {
    return a * fill(static_cast<float>(factor));
  }
  /// a * b + c, rounded once where the instruction set has such an instruction.
  RCNN_ALWAYS_INLINE friend Floats multiply_add(const Floats& a, const Floats& b, const Floats& c) {
    return {Isa::fma(a.v, b.v, c.v)};
  }
  RCNN_ALWAYS_INLINE friend Floats add_times(const Floats& a, const Floats& b, int factor) {
    return multiply_add(b, fill(static_cast<float>(factor)), a);
  }
  /// a / divisor, rounded correctly: where a divisor times the rounded quotient can be subtracted from `a`
  /// without rounding, the remainder corrects the quotient (Markstein), which is faster than a division.
  template <int divisor>
  RCNN_ALWAYS_INLINE friend Floats divide(const Floats& a) {
    constexpr float kInverse = 1.0F / divisor;
    if constexpr ((divisor & (divisor - 1)) == 0) return a * fill(kInverse);
    if constexpr (!Isa::kFused) return {a.v / Isa::fill(divisor)};
    const Floats quotient = a * fill(kInverse);
    return multiply_add(add_times(a, quotient, -divisor), fill(kInverse), quotient);
  }
  /// 0 where a value is negative. A NaN stays a NaN.
  RCNN_ALWAYS_INLINE friend Floats relu(const Floats& a) {
    const Register zero = Isa::fill(0);
    return {a.v < zero ? zero : a.v};
  }
};

}  // namespace
}  // namespace rcnn::kernels
