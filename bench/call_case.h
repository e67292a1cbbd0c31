// A call that a file describes, as a prepared case of its op.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <vector>

#include "bench/case_json.h"
#include "bench/op_calls.h"
#include "kernels/op_cases.h"

namespace rcnn {

/// Sizes that a file may state: so many that no product of a few of them overflows.
inline constexpr int64_t kMaxSize = int64_t{1} << 31;
inline constexpr int64_t kMaxWindow = 1 << 12;  // of filters and their steps
inline constexpr int64_t kMaxSampling = 64;

/// The least value of a field that is a number: of labels -2, for "takes no part", and -1 of the number of a
/// term, for none.
inline int64_t least_of(std::string_view field) {
  return field.ends_with(".lowest") ? -2 : field.ends_with(".unneeded") ? -1 : 0;
}

template <class T>
void check_fields(const std::string& where, const T& value) {
  if constexpr (std::is_same_v<T, bool>) {
  } else if constexpr (std::is_integral_v<T>) {
    check_input(value >= least_of(where) && value < kMaxSize, "{}: expected a size, found {}", where, value);
  } else if constexpr (std::is_arithmetic_v<T>) {
  } else if constexpr (requires { value.begin(); }) {
    for (const auto& entry : value) check_fields(where, entry);
  } else {
    T copy = value;
    const std::vector<std::string> names = split_names(names_of_fields(value));
    size_t next = 0;
    std::apply([&](const auto&... field) { (check_fields(where + "." + names.at(next++), field), ...); },
               fields_of(copy));
  }
}

/// Arrays in arguments have room for so many levels or terms, and sizes are divisors.
template <class T>
void check_limits(const std::string& where, const T& c) {
  check_fields(where, c);
  [[maybe_unused]] const auto levels = [&](auto count, int64_t limit) {
    check_input(static_cast<int64_t>(count) >= 0 && static_cast<int64_t>(count) <= limit,
                "{}: expected at most {} levels or terms, found {}", where, limit, count);
  };
  if constexpr (requires { c.rows.size(); }) levels(c.rows.size(), kernels::kMaxLevels);
  if constexpr (requires { c.weights.size(); }) levels(c.weights.size(), kernels::kMaxTerms);
  if constexpr (std::is_same_v<T, kernels::AnchorsCase>) levels(c.size(), kernels::kMaxLevels);
  if constexpr (requires { c.levels; }) {
    levels(c.levels, kernels::kMaxLevels);
    check_input(c.stride > 0, "{}: expected a stride above 0, found {}", where, c.stride);
  }
  if constexpr (requires { c.roi; }) {
    check_limits(where, c.roi);
    check_input(c.roi.h > 0 && c.roi.w > 0, "{}: expected a map of at least one pixel", where);
    if constexpr (requires { c.sampling; })
      check_input(c.sampling <= kMaxSampling, "{}.sampling: expected at most {} for each direction, found {}",
                  where, kMaxSampling, c.sampling);
  }
  if constexpr (requires { c.positive_fraction; })
    check_input(c.positive_fraction >= 0 && c.positive_fraction <= 1,
                "{}.positive_fraction: expected a share from 0 to 1, found {}", where, c.positive_fraction);
  if constexpr (requires { c.images; })
    for (const auto& image : c.images)
      check_input(
          std::min({image.h, image.w, image.rh, image.rw}) > 0 && image.rh <= c.height && image.rw <= c.width,
          "{}: expected images of at least one pixel that fit into {} x {}, found {} x {} resized to {} x {}",
          where, c.width, c.height, image.w, image.h, image.rw, image.rh);
  if constexpr (requires {
                  c.c;
                  c.rows;
                  c.residual;
                })
    check_input(c.c > 0, "{}: expected at least one channel", where);
  if constexpr (requires { c.shape.dilation; })
    check_input(
        std::min({c.shape.c, c.shape.k, c.shape.r, c.shape.s, c.shape.stride, c.shape.dilation}) > 0 &&
            std::max({c.shape.stride, c.shape.dilation, c.shape.pad, c.shape.r, c.shape.s}) <= kMaxWindow &&
            c.shape.oh() > 0 && c.shape.ow() > 0,
        "{}: it is not the shape of a convolution", where);
  if constexpr (requires { c.kernel; })
    check_input(c.kernel > 0 && c.stride > 0 && std::max({c.kernel, c.stride, c.pad}) <= kMaxWindow,
                "{}: expected a window and a stride above 0 and of at most {}", where, kMaxWindow);
  if constexpr (requires {
                  c.groups;
                  c.residual;
                })
    check_input(c.groups > 0 && c.c % c.groups == 0, "{}: the groups do not divide the channels", where);
  if constexpr (requires { c.th; })
    check_input(c.th > 0 && c.tw > 0, "{}: expected a map of at least one pixel", where);
}

/// The call as a prepared case on the host: random numbers, in place of which `values` (by the number of the
/// input) come. Throws InputError, which begins with the op's name, if the description or the values are not
/// those of a call of this op. `noted`: see Fill::uniform.
template <class Op>
auto prepare_call(const Op& op, const CallJson& call, const std::map<int, Tensor>& values = {},
                  kernels::UniformTensors* noted = nullptr) {
  const std::string where = op.name;
  check_input(call.is_object() && call.contains("case"), "{}: there is no \"case\"", where);
  CaseOf<Op> c{};
  from_case_json(call["case"], where, c);
  check_limits(where, c);
  const bool in_place = call.value("in_place", false), any = in_place || call.contains("accumulate");
  auto p = cases_of(op).prepare(
      float{}, c, kernels::Filler(1, kernels::Fill::uniform, any ? Accumulate::yes : Accumulate::no, noted));
  if (call.contains("accumulate")) {
    const CallJson& flags = call["accumulate"];
    size_t next = 0;
    kernels::for_each_accumulate(p.args, [&](Accumulate& flag) {
      check_input(flags.is_array() && next < flags.size() && flags[next].is_boolean(),
                  "{}: \"accumulate\" is not a list with true or false for each gradient", where);
      flag = flags[next++].template get<bool>() ? Accumulate::yes : Accumulate::no;
    });
  }
  for (const auto& [i, value] : values) {
    check_input(i >= 0 && static_cast<size_t>(i) < p.inputs.size(), "{}: it has no input {}", where, i);
    const Tensor& input = p.inputs[static_cast<size_t>(i)];
    check_input(
        input.shape() == value.shape() && input.dtype() == value.dtype() && input.dtype() != DType::u8,
        "{}: input {} is {} {}, but the case needs {} {}", where, i, name_of(value.dtype()),
        value.shape().str(), name_of(input.dtype()), input.shape().str());
    input.copy_from(value);
  }
  return p;
}

}  // namespace rcnn
