// What a call of an op looks like as a case of its table: the way back from arguments to a case.
//
// Beside a case struct stand its fields by name and `case_of`, which turns the arguments of a call into a
// case. `prepare` of that case gives arguments of the same shapes and options, with other values:
//
//     RCNN_CASE_FIELDS(SoftmaxCase, rows, c)
//     template <class T>
//     SoftmaxCase case_of(const SoftmaxArgs<T>& a, ArgumentReader&) {
//       return {a.rows, a.c};
//     }
#pragma once

#include <cstring>
#include <source_location>
#include <span>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <vector>

#include "core/accumulate.h"
#include "core/cuda/device.h"

namespace rcnn::kernels {

/// Gives a case struct `fields_of(case)`, a tuple of references to all fields in order, and their names.
#define RCNN_CASE_FIELDS(Case, ...)             \
  inline auto fields_of(Case& fields_of_case) { \
    auto& [__VA_ARGS__] = fields_of_case;       \
    return std::tie(__VA_ARGS__);               \
  }                                             \
  inline constexpr std::string_view names_of_fields(const Case&) { return #__VA_ARGS__; }

/// Reads the arrays that arguments point to.
class ArgumentReader {
 public:
  explicit ArgumentReader(Device device) : device_(device) {}

  /// The values: on the CPU the array itself, on a GPU a copy, for which the host waits and which the next
  /// call replaces. None for a null pointer.
  template <class T>
  std::span<const T> read(const T* data, int64_t count) {
    static_assert(std::is_trivially_copyable_v<T>);
    if (data == nullptr || count <= 0) return {};
    const std::span<const T> there(data, static_cast<size_t>(count));
    if (device_.type == DeviceType::cpu) return there;
    copy_.resize(there.size_bytes());
    copy(copy_.data(), data, copy_.size());
    return {reinterpret_cast<const T*>(copy_.data()), there.size()};
  }
  void copy(void* to, const void* from, size_t bytes) const {
    if (bytes == 0) return;
    if (device_.type == DeviceType::cuda)
      cuda::download(device_, to, from, bytes, std::source_location::current());
    else
      std::memcpy(to, from, bytes);
  }

 private:
  Device device_;
  std::vector<std::byte> copy_;
};

/// Calls f(flag) for each member of an op's arguments that says whether an output is written or added to.
template <class Args, class F>
void for_each_accumulate([[maybe_unused]] Args& args, [[maybe_unused]] F f) {
  [[maybe_unused]] const auto visit = [&](auto& flag) {
    if constexpr (std::is_array_v<std::remove_reference_t<decltype(flag)>>) {
      for (auto& one : flag) f(one);
    } else {
      f(flag);
    }
  };
  if constexpr (requires { args.accumulate; }) visit(args.accumulate);
  if constexpr (requires { args.accumulate_weight; }) visit(args.accumulate_weight);
  if constexpr (requires { args.accumulate_bias; }) visit(args.accumulate_bias);
  if constexpr (requires { args.accumulate_residual; }) visit(args.accumulate_residual);
}

/// Whether the arguments add to an output: a gradient, or a residual that lies in it.
template <class Args>
bool adds_to_output(const Args& args) {
  bool adds = false;
  for_each_accumulate(args, [&](Accumulate flag) { adds |= flag == Accumulate::yes; });
  if constexpr (requires { args.residual == args.y; })
    adds |= args.residual != nullptr && static_cast<const void*>(args.residual) == args.y;
  return adds;
}

}  // namespace rcnn::kernels
