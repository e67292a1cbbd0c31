// How many classes data may have, and how long their names may be. Both reach models, reports and every
// message that lists them.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace rcnn {

inline constexpr size_t kMaxClasses = 100'000, kMaxClassName = 1000;  // bytes

/// Throws InputError, which begins with `file`, for a larger number of classes.
void check_class_count(const std::string& file, size_t count);
/// The same for a longer name, or an empty one.
void check_class_names(const std::string& file, const std::vector<std::string>& names);

}  // namespace rcnn
