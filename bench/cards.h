// Published figures of cards, for upper bounds on a kernel's speed.
#pragma once

#include <span>
#include <string>

#include "core/context.h"

namespace rcnn {

/// A multiprocessor has 65536 registers of 4 bytes on all of them.
struct Card {
  const char* name;
  int capability;  // 90 for sm_90
  int multiprocessors;
  double clock;  // GHz, boost: that of the f32 peak
  // Peaks of multiply-adds with sums in f32, TFLOP/s, without sparsity.
  double f32, tf32, bf16;
  double bandwidth;   // GB/s
  int shared;         // KiB of shared memory of a multiprocessor; a block may have 1 KiB less
  int warps, blocks;  // on a multiprocessor at a time, at most
  const char* source;

  double peak(Precision precision) const {
    return precision == Precision::f32 ? f32 : precision == Precision::tf32 ? tf32 : bf16;
  }
};

/// Shared memory, warps and blocks come from the table of compute capabilities in NVIDIA's CUDA C++
/// Programming Guide. Data sheets that state rates with sparsity are halved.
inline constexpr Card kCards[] = {
    {"H100", 90, 132, 1.98, 66.9, 494.7, 989.4, 3352, 228, 64, 32,
     "H100 SXM5 80 GB: NVIDIA H100 Tensor Core GPU Architecture (white paper)"},
    {"H200", 90, 132, 1.98, 66.9, 494.7, 989.4, 4800, 228, 64, 32,
     "H200 SXM: NVIDIA H200 data sheet (memory), white paper of H100 (the rest)"},
    {"A100", 80, 108, 1.41, 19.5, 156, 312, 2039, 164, 64, 32,
     "A100 SXM4 80 GB: NVIDIA A100 Tensor Core GPU Architecture (white paper), A100 80 GB data sheet"},
    {"L4", 89, 58, 2.04, 30.3, 60, 121, 300, 100, 48, 24, "NVIDIA L4 data sheet"},
    {"4090", 89, 128, 2.52, 82.6, 82.6, 165.2, 1008, 100, 48, 24,
     "GeForce RTX 4090: NVIDIA Ada GPU Architecture (white paper), appendix A"},
};

/// Throws InputError, which lists the names, if there is no such card.
const Card& card_of(const std::string& name);

}  // namespace rcnn
