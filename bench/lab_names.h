// The ops and variants that a command of the kernel lab names: OP or OP=VARIANT.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kernels/op.h"

namespace rcnn {

struct LabName {
  std::string op, variant;  // variant "": all
};

/// Takes "roi_align=merged_taps" apart. Throws InputError if there is no such op or it has no such variant.
std::vector<LabName> parse_lab_names(const std::vector<std::string>& words);

/// Whether the names, if there are any, include this op, or this variant of it.
bool names_op(const std::vector<LabName>& names, std::string_view op);
bool names_variant(const std::vector<LabName>& names, std::string_view op, std::string_view variant);

/// Throws InputError, which names --case, unless the op has a case of this number.
void check_case(std::string_view op, int64_t number, size_t cases);

/// "cpu" or "cuda".
const char* name_of(DeviceType type);
/// "f32", "tf32" or "bf16".
const char* name_of(Precision precision);

/// Why this build or this machine cannot run a variant on `backend` in `ctx`, as a part of a sentence: "this
/// build has no CUDA". Empty if it can.
std::string why_not(const Context& ctx, const kernels::Backend& backend);

}  // namespace rcnn
