// What the case tables of the ops are made of.
//
// kernels/<op>_cases.h lists cases as plain data and has one function that turns a case into buffers and
// arguments, in float or double. tests/ runs every variant on every case against the double reference; bench/
// times the same arguments at the model's sizes. A case added there is tested and timed without another line
// of code.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "core/parallel.h"
#include "core/rng.h"
#include "core/tensor.h"
#include "kernels/case_fields.h"
#include "kernels/op.h"

namespace rcnn::kernels {

/// How inputs are filled. With `small_integers` every product and sum is exact in float, so variants must
/// agree to the last bit; `magnitudes` holds the absolute values of `normal`, which gives the bound sum
/// |a||b| of a linear op. `uniform` (see uniform_number) is cheap and has the same bits on every machine,
/// while those of `normal` depend on the C library's logarithm and cosine.
enum class Fill { normal, small_integers, magnitudes, uniform };

/// How an output is compared with the double reference.
enum class Match {
  exact,     // integers, or numbers that are only copied
  sum,       // a sum of `terms` products: |error| <= (terms + 8) eps sum |a||b|
  relative,  // |error| <= tolerance * max(1, largest |expected|)
};

/// A case of an op, ready to run: the arguments and the tensors they point into.
template <class Args>
struct Prepared {
  Args args{};
  std::vector<Tensor> inputs;
  std::vector<Tensor> outputs;
  Match match = Match::exact;
  int64_t terms = 0;     // for Match::sum
  double tolerance = 0;  // for Match::relative
  double flop = 0;       // arithmetic of one run, for the benchmark
  double bytes = 0;      // inputs read once and outputs written once; filled in when left 0

  void compare_relative(double allowed) { match = Match::relative, tolerance = allowed; }
  void compare_sum(int64_t products) { match = Match::sum, terms = products; }
};

/// The tensors of a case that hold uniform_number(start, i), by the number of their storage, so that a device
/// can make them itself.
struct UniformTensor {
  uint64_t version = 0;  // of the storage when it was filled; if it differs now, the contents changed
  uint32_t start = 0;
};
using UniformTensors = std::map<uint64_t, UniformTensor>;

/// What every byte of an output holds before it is written. Floats: a NaN. Integers: wild, and not the -1
/// that pads a row.
inline int poison_of(DType dtype) { return dtype == DType::f32 || dtype == DType::f64 ? 0xFF : 0xA5; }

/// Makes the tensors of a case. The same seed gives the same values in float and in double: they are drawn as
/// floats.
class Filler {
 public:
  /// Tensors of uniform numbers are noted in `noted` if it is given.
  Filler(uint64_t seed, Fill fill, Accumulate accumulate = Accumulate::no, UniformTensors* noted = nullptr)
      : seed_(seed), fill_(fill), accumulate_(accumulate), noted_(noted) {}

  Accumulate accumulate() const { return accumulate_; }
  Fill fill() const { return fill_; }

  /// Numbers around 0 (or small integers, or magnitudes: see Fill).
  template <class T>
  Tensor numbers(std::vector<Tensor>& keep, const Shape& shape) {
    RandomSequence random(seed_, Purpose::test, ++tensors_);
    if (fill_ == Fill::uniform) return uniform_numbers<T>(keep, shape, random.next());
    return make<T>(keep, shape, [&] {
      const float integer = static_cast<float>(random.below(9)) - 4, number = random.normal();
      return fill_ == Fill::small_integers ? integer : fill_ == Fill::magnitudes ? std::fabs(number) : number;
    });
  }
  /// Uniform in [low, high), whatever the fill.
  template <class T>
  Tensor uniform(std::vector<Tensor>& keep, const Shape& shape, float low, float high) {
    RandomSequence random(seed_, Purpose::test, ++tensors_);
    return make<T>(keep, shape, [&] { return random.uniform(low, high); });
  }
  /// Uniform integers in [low, high].
  Tensor integers(std::vector<Tensor>& keep, const Shape& shape, int low, int high) {
    RandomSequence random(seed_, Purpose::test, ++tensors_);
    Tensor tensor = Tensor::empty(shape, DType::i32);
    for (int32_t& value : tensor.mutable_values<int32_t>())
      value = low + static_cast<int>(random.below(static_cast<uint32_t>(high - low + 1)));
    keep.push_back(tensor);
    return tensor;
  }
  /// An output: poisoned (NaN, or a wild integer) when it is to be written, filled with numbers when it is
  /// added to.
  template <class T>
  Tensor output(std::vector<Tensor>& keep, const Shape& shape) {
    if (accumulate_ == Accumulate::yes) return numbers<T>(keep, shape);
    return poisoned<T>(keep, shape);
  }
  /// An output that is always written.
  template <class T>
  Tensor poisoned(std::vector<Tensor>& keep, const Shape& shape) {
    ++tensors_;
    Tensor tensor = Tensor::empty(shape, dtype_of<T>);
    if (tensor.bytes() != 0) std::memset(tensor.mutable_raw(), poison_of(tensor.dtype()), tensor.bytes());
    keep.push_back(tensor);
    return tensor;
  }

  /// The three kinds of tensors of a case, as what its arguments point to: an input of numbers, an output
  /// that is always written, and a gradient, which is written or added to.
  template <class T, class Args>
  const T* input(Prepared<Args>& p, const Shape& shape) {
    return numbers<T>(p.inputs, shape).template data<T>();
  }
  template <class T, class Args>
  T* result(Prepared<Args>& p, const Shape& shape) {
    return poisoned<T>(p.outputs, shape).template mutable_data<T>();
  }
  template <class T, class Args>
  T* gradient(Prepared<Args>& p, const Shape& shape) {
    return output<T>(p.outputs, shape).template mutable_data<T>();
  }

 private:
  template <class T, class Draw>
  Tensor make(std::vector<Tensor>& keep, const Shape& shape, Draw draw) {
    Tensor tensor = Tensor::empty(shape, dtype_of<T>);
    for (T& value : tensor.mutable_values<T>()) value = static_cast<T>(draw());
    keep.push_back(tensor);
    return tensor;
  }

  template <class T>
  Tensor uniform_numbers(std::vector<Tensor>& keep, const Shape& shape, uint32_t start) {
    constexpr int64_t kGrain = 1 << 16;
    Tensor tensor = Tensor::empty(shape, dtype_of<T>);
    T* values = tensor.mutable_data<T>();
    parallel_for(tensor.numel(), kGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        values[i] = static_cast<T>(uniform_number(start, static_cast<uint32_t>(i)));
    });
    keep.push_back(tensor);
    if (noted_) (*noted_)[tensor.storage().id] = {tensor.version(), start};
    return tensor;
  }

  uint64_t seed_;
  Fill fill_;
  Accumulate accumulate_;
  UniformTensors* noted_;
  uint32_t tensors_ = 0;
};

/// The rows per image of each level of an op's arguments.
template <class Views>
std::vector<int64_t> rows_of_levels(const Views& views, int levels) {
  std::vector<int64_t> rows;
  for (int level = 0; level < levels; ++level) rows.push_back(views[level].rows);
  return rows;
}

/// The number of the first of `count` outputs that is not needed; -1: all are.
template <class T>
int first_null(const T* const* outputs, int count) {
  for (int i = 0; i < count; ++i)
    if (outputs[i] == nullptr) return i;
  return -1;
}
template <class View>
int first_null(const View* outputs, int count) requires requires {
  outputs->data;
}
{
  for (int i = 0; i < count; ++i)
    if (outputs[i].data == nullptr) return i;
  return -1;
}

/// What an op is tested and timed with: `tested()` and `timed()` are lists of cases, and `prepare(zero, case,
/// filler)` makes one of them in the type of `zero`, float or double. cases_of(op) gives it.
template <class Tested, class Timed, class Prepare>
struct OpCases {
  Tested tested;
  Timed timed;
  Prepare prepare;
};
template <class Tested, class Timed, class Prepare>
OpCases(Tested, Timed, Prepare) -> OpCases<Tested, Timed, Prepare>;

/// Ties an op to its cases. `prepare_case` names the function that makes one; in it, T is float or double:
/// RCNN_OP_CASES(dropout, dropout_cases, dropout_bench_cases, prepare_dropout<T>)
#define RCNN_OP_CASES(op, tested_cases, timed_cases, prepare_case)                                    \
  inline auto cases_of(decltype((op))) {                                                              \
    return OpCases{tested_cases, timed_cases,                                                         \
                   []<class T>(T, const auto& c, Filler filler) { return prepare_case(c, filler); }}; \
  }

}  // namespace rcnn::kernels
