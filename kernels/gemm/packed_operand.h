#pragma once

#include <cstddef>
#include <cstdint>

#include "core/context.h"

namespace rcnn::kernels {

/// The form of a tensor's values that tensor cores read: in bf16, or rounded to TF32, with zeros behind the
/// columns so that these fill vectors of 16 bytes. Whoever has it first, the kernel that computes the values
/// or the first that reads them, leaves it here for all that read them later. It belongs to the tensor's
/// storage and takes memory as long as that lives.
struct PackedOperand {
  Tensor values;             // bytes on the device; undefined: nobody has made the form
  size_t element = 0;        // bytes of an element of the form
  const void* of = nullptr;  // the values that it is the form of
  int64_t rows = 0, c = 0;   // of the matrix; one row if there are no zeros between its rows
  uint64_t version = 0;      // of the tensor, when the form was made
  uint64_t runs = 0;         // recorded_runs() then

  /// Whether it is the form of this matrix (rows, c), with elements of this type.
  template <class Stored>
  bool holds(const void* matrix, int64_t matrix_rows, int64_t matrix_c) const {
    make_one_row<Stored>(matrix_rows, matrix_c);
    return values.defined() && element == sizeof(Stored) && of == matrix && rows == matrix_rows &&
           c == matrix_c;
  }
  /// Memory for that form, on `device`, which the caller has to write. `bytes` is its size.
  template <class Stored>
  Stored* make(Device device, const void* matrix, int64_t matrix_rows, int64_t matrix_c, int64_t bytes) {
    make_one_row<Stored>(matrix_rows, matrix_c);
    values = {};  // freed first
    values = Tensor::empty({bytes}, DType::u8, device);
    element = sizeof(Stored), of = matrix, rows = matrix_rows, c = matrix_c;
    return static_cast<Stored*>(values.mutable_raw());
  }

 private:
  /// Without zeros between them, rows may be read as longer or shorter ones: a map as a vector, for example.
  template <class Stored>
  static void make_one_row(int64_t& matrix_rows, int64_t& matrix_c) {
    if (matrix_c % static_cast<int64_t>(16 / sizeof(Stored)) != 0) return;
    matrix_c *= matrix_rows;
    matrix_rows = 1;
  }
};

/// Where the packed form of a tensor's values lies; it is empty if they were written since it was made, or
/// may have been, by a replay (recorded_runs). Null on the CPU, where nothing is kept.
PackedOperand* packed_operand(const Tensor& tensor);

/// Whether `variant` of a product reads the bf16 forms of both operands: ours on tensor cores, for lines of
/// whole vectors. NVIDIA's libraries get copies of their own.
template <class Variant>
bool reads_bf16_form(const Variant& variant) {
  return variant.backend.precision == Precision::bf16 && variant.backend.missing == nullptr;
}

}  // namespace rcnn::kernels
