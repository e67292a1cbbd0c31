// `rcnn lab new`: begins a new variant of an op.
#pragma once

#include <filesystem>
#include <string>

namespace rcnn {

struct LabNewOptions {
  std::string op, variant;
  bool cuda = false;
  std::filesystem::path root;  // of the checkout; empty: the one around the current folder
};

/// Writes kernels/<family>/<op>_<variant>.cpp (or .cu): a copy of the reference (or of the CUDA kernel that
/// stands last in the table, the simplest one) and of the functions that it calls. Declares the function in
/// the op's header and adds a row to its table, after all rows that the program prefers: before the
/// reference, or after the last CUDA kernel of this project. Prints what to do next.
///
/// Throws InputError if there is no such checkout or op, if the name is not one, is taken or has a file
/// already, if the table is full, or if the header or the kernel is not of the form that this can read;
/// nothing has been written then.
void lab_new(const LabNewOptions& options);

}  // namespace rcnn
