// `rcnn lab list`: the ops and their variants.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace rcnn {

/// Prints each op that is named (empty: all) with its variants, in the order of its table, on which device
/// they run, in which precision, what they need, why they cannot run here, and whether the program chooses
/// them in f32: "default" is the variant that takes every case that those before it leave, "where it fits"
/// one that the program prefers for some cases. With the root of a checkout, also the file and the line of
/// each variant (bench/checkout.h). Throws InputError if an op or a variant does not exist.
void lab_list(const std::vector<std::string>& words, const std::filesystem::path& root);

}  // namespace rcnn
