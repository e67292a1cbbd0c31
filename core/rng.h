// Counter-based random numbers: Philox 4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3",
// SC 2011).
//
// A value depends only on its key and counter, never on how many values were drawn before, so any thread on
// any device draws the same number for the same purpose, step and index, and a resumed run repeats an
// uninterrupted one. There is no generator state to save.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>

#include "core/host_device.h"

namespace rcnn {

/// What a random number is for. Part of the counter, so that two uses never share a stream. The numbers are
/// part of every run's result: append, never renumber.
enum class Purpose : uint32_t {
  init = 1,        // parameter initialisation
  shuffle = 2,     // order of the images of an epoch
  augment = 3,     // flips
  rpn_sample = 4,  // anchors for the RPN loss
  roi_sample = 5,  // RoIs for the head loss
  dropout = 6,
  scene = 7,  // synthetic scenes
  split = 8,  // training and validation split
  test = 9,
  mosaic = 10,  // of training images, like the next three
  crop = 11,
  colour_jitter = 12,
  scale_jitter = 13,
  bootstrap = 14,  // images drawn again, to see how much a figure depends on them
};

struct Philox4 {
  uint32_t v[4];
};

/// The Philox 4x32-10 block function: 128 random bits for a 64-bit key and a 128-bit counter.
RCNN_HOST_DEVICE inline Philox4 philox4x32(uint64_t key, uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3) {
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = 0xD2511F53ull * c0, p1 = 0xCD9E8D57ull * c2;
    const uint32_t n0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0,
                   n2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c1 = static_cast<uint32_t>(p1);
    c3 = static_cast<uint32_t>(p0);
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

/// One random word for (seed, purpose, a, b, index). `a` and `b` are whatever identifies the draw: the step
/// and the image, the epoch, a parameter's number.
RCNN_HOST_DEVICE inline uint32_t philox(uint64_t seed, Purpose purpose, uint32_t a, uint32_t b,
                                        uint32_t index) {
  return philox4x32(seed, index, static_cast<uint32_t>(purpose), a, b).v[0];
}

/// A word as a float in [0, 1), on a grid of 2^-24.
RCNN_HOST_DEVICE inline float to_unit_float(uint32_t word) {
  return static_cast<float>(word >> 8) * (1.0f / 16777216.0f);
}

/// Number `index` of a sequence that `start` selects, for the inputs of benchmarks and tests: uniform around
/// 0, with deviation 1, and much cheaper than Philox. One rounding follows a hash of 32 bits (the function
/// "lowbias32" of C. Wellons's hash-prospector), so every machine gets the same bits.
RCNN_HOST_DEVICE inline float uniform_number(uint32_t start, uint32_t index) {
  uint32_t bits = start + index;
  bits = (bits ^ bits >> 16) * 0x7FEB352Du;
  bits = (bits ^ bits >> 15) * 0x846CA68Bu;
  bits ^= bits >> 16;
  constexpr float kScale = 1.7320508f / 8388608.0f;  // sqrt(3) / 2^23
  return static_cast<float>(static_cast<int32_t>(bits) >> 8) * kScale;
}

/// A sequence of draws for one purpose: sequential use on the host (scenes, augmentation, initialisation).
class RandomSequence {
 public:
  RandomSequence(uint64_t seed, Purpose purpose, uint32_t a = 0, uint32_t b = 0)
      : seed_(seed), purpose_(purpose), a_(a), b_(b) {}

  uint32_t next() { return philox(seed_, purpose_, a_, b_, index_++); }
  /// Uniform in [0, 1).
  float uniform() { return to_unit_float(next()); }
  /// Uniform in [low, high).
  float uniform(float low, float high) { return low + (high - low) * uniform(); }
  /// Uniform integer in [0, n); n must be positive.
  uint32_t below(uint32_t n) { return static_cast<uint32_t>((static_cast<uint64_t>(next()) * n) >> 32); }
  /// Normal with mean 0 and deviation 1 (Box and Muller).
  float normal() {
    const double u = (next() + 1.0) / 4294967296.0, v = next() / 4294967296.0;
    return static_cast<float>(std::sqrt(-2.0 * std::log(u)) * std::cos(6.283185307179586 * v));
  }

 private:
  uint64_t seed_;
  Purpose purpose_;
  uint32_t a_, b_, index_ = 0;
};

}  // namespace rcnn
