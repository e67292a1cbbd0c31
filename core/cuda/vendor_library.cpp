#include "core/cuda/vendor_library.h"

#include <dlfcn.h>

#include <cstdlib>
#include <string_view>

#include "core/error.h"

namespace rcnn::cuda {

VendorLibrary::VendorLibrary(const char* name, const char* file) : name_(name) {
  if (const char* wanted = std::getenv("RCNN_VENDOR_LIBRARIES"); wanted && std::string_view(wanted) == "0") {
    missing_ = fmt::format("{} is not used, because RCNN_VENDOR_LIBRARIES is 0", name);
    return;
  }
  handle_ = ::dlopen(file, RTLD_NOW | RTLD_LOCAL);
  if (handle_) return;
  const char* why = ::dlerror();
  missing_ = fmt::format("{} is not available: {}", name, why ? why : "it cannot be opened");
}

void* VendorLibrary::address(const char* function) const {
  check(handle_ != nullptr, "{}", missing_);
  void* found = ::dlsym(handle_, function);
  check(found != nullptr, "{} has no function {}", name_, function);
  return found;
}

}  // namespace rcnn::cuda
