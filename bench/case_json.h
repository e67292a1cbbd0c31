// Cases of ops as JSON: an object with the fields of the case struct (kernels/case_fields.h).
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "bench/json_file.h"
#include "core/error.h"
#include "core/text.h"
#include "kernels/case_fields.h"
#include "kernels/op_cases.h"

namespace rcnn {

using CaseJson = nlohmann::ordered_json;

/// The names that RCNN_CASE_FIELDS has as one text.
inline std::vector<std::string> split_names(std::string_view text) {
  std::vector<std::string> names;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    names.emplace_back(text.substr(0, comma));
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
    while (text.starts_with(' ')) text.remove_prefix(1);
  }
  return names;
}

template <class T>
CaseJson to_case_json(const T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    return value;
  } else if constexpr (std::is_integral_v<T>) {
    return static_cast<int64_t>(value);
  } else if constexpr (std::is_floating_point_v<T>) {
    if (std::isfinite(value)) return static_cast<double>(value);
    return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";  // JSON has no such numbers
  } else if constexpr (requires { value.begin(); }) {
    CaseJson list = CaseJson::array();
    for (const auto& entry : value) list.push_back(to_case_json(entry));
    return list;
  } else {
    T copy = value;
    const std::vector<std::string> names = split_names(names_of_fields(value));
    CaseJson object = CaseJson::object();
    size_t next = 0;
    std::apply([&](const auto&... field) { ((object[names.at(next++)] = to_case_json(field)), ...); },
               fields_of(copy));
    return object;
  }
}

/// Sets `value` from what to_case_json made of one. Throws InputError, which names `where` ("conv2d.shape"),
/// if a field is missing or of another type.
template <class T>
void from_case_json(const CaseJson& json, const std::string& where, T& value) {
  const auto expect = [&](bool fits, const char* what) {
    check_input(fits, "{}: expected {}, found {}", where, what, json.dump());
  };
  if constexpr (std::is_same_v<T, bool>) {
    expect(json.is_boolean(), "true or false");
    value = json.get<bool>();
  } else if constexpr (std::is_integral_v<T>) {
    expect(json.is_number_integer() &&
               (!json.is_number_unsigned() || std::in_range<T>(json.get<uint64_t>())) &&
               (json.is_number_unsigned() || std::in_range<T>(json.get<int64_t>())),
           "a whole number in the range of a size");
    value = json.get<T>();
  } else if constexpr (std::is_floating_point_v<T>) {
    if (json == "inf" || json == "-inf" || json == "nan") {
      value = json == "nan" ? std::numeric_limits<T>::quiet_NaN() : std::numeric_limits<T>::infinity();
      if (json == "-inf") value = -value;
      return;
    }
    expect(json.is_number(), "a number");
    value = json.get<T>();
  } else if constexpr (requires { value.emplace_back(); }) {
    expect(json.is_array(), "a list");
    value.clear();
    for (const CaseJson& entry : json) {
      value.emplace_back();
      from_case_json(entry, where, value.back());
    }
  } else {
    expect(json.is_object(), "an object");
    const std::vector<std::string> names = split_names(names_of_fields(value));
    size_t next = 0;
    const auto set = [&](auto& field) {
      const std::string& name = names.at(next++);
      check_input(json.contains(name), "{}: the field \"{}\" is missing", where, name);
      from_case_json(json[name], where + "." + name, field);
    };
    std::apply([&](auto&... field) { (set(field), ...); }, fields_of(value));
  }
}

/// The case of a table's op: cases_of(op).tested()'s element.
template <class Op>
using CaseOf = std::decay_t<decltype(cases_of(std::declval<const Op&>()).tested().at(0))>;

}  // namespace rcnn
