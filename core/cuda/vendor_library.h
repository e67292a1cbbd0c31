// Libraries of NVIDIA, opened when they are first asked for: a program that can call cuDNN, cuBLAS and NCCL
// also runs on a machine that has only a driver.
#pragma once

#include <string>

namespace rcnn::cuda {

class VendorLibrary {
 public:
  /// Opens `file`, "libcudnn.so.9", wherever the dynamic linker finds it, unless the environment variable
  /// RCNN_VENDOR_LIBRARIES is 0. `name` is for messages.
  VendorLibrary(const char* name, const char* file);

  /// Why the library is not there, as a sentence; empty if it is open.
  const std::string& missing() const { return missing_; }
  /// The address of a function. Throws Error if the library or the function is missing.
  void* address(const char* function) const;

 private:
  const char* name_;
  void* handle_ = nullptr;  // never closed: the library may still run when static objects are destroyed
  std::string missing_;
};

}  // namespace rcnn::cuda

#define RCNN_QUOTED_AS_IS(text) #text
#define RCNN_QUOTED(text) RCNN_QUOTED_AS_IS(text)

/// The function of that name in `library`, with the type that the library's header declares. Headers rename
/// functions by macros (cublasCreate is cublasCreate_v2), so the name is looked up after their expansion.
#define RCNN_FUNCTION_OF(library, function)                                              \
  ([]() -> decltype(&function) {                                                         \
    static const auto pointer =                                                          \
        reinterpret_cast<decltype(&function)>((library).address(RCNN_QUOTED(function))); \
    return pointer;                                                                      \
  }())
