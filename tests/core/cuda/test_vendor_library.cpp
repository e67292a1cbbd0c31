// Libraries that are opened when they are first asked for. libm stands for one of NVIDIA.
#include "core/cuda/vendor_library.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <optional>
#include <string>

#include "core/error.h"

extern "C" double hypot(double, double);

namespace rcnn::cuda {
namespace {

/// Sets RCNN_VENDOR_LIBRARIES, or removes it, until the end of its scope.
class Variable {
 public:
  explicit Variable(const char* value) {
    if (const char* before = std::getenv(kName)) before_ = before;
    set(value);
  }
  ~Variable() { set(before_ ? before_->c_str() : nullptr); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  static constexpr const char* kName = "RCNN_VENDOR_LIBRARIES";
  static void set(const char* value) { value ? ::setenv(kName, value, 1) : ::unsetenv(kName); }
  std::optional<std::string> before_;
};

const VendorLibrary& libm() {
  const Variable none(nullptr);
  static const VendorLibrary library("libm", "libm.so.6");
  return library;
}
#define length_of hypot  // as a header of NVIDIA renames its functions

TEST_CASE("a library that is there: its functions are found under the names that macros give them") {
  CHECK(libm().missing().empty());
  CHECK(RCNN_FUNCTION_OF(libm(), length_of)(3, 4) == 5);
}

TEST_CASE("a library that is missing says so, and its functions cannot be called") {
  const Variable none(nullptr);
  const VendorLibrary library("cuXYZ", "libcuxyz.so.1");
  CHECK(library.missing() ==
        "cuXYZ is not available: libcuxyz.so.1: cannot open shared object file: No such file or directory");
  CHECK_THROWS_WITH_AS(library.address("cuxyzCreate"), library.missing().c_str(), Error);
  CHECK_THROWS_WITH_AS(libm().address("cuxyzCreate"), "libm has no function cuxyzCreate", Error);
}

TEST_CASE("RCNN_VENDOR_LIBRARIES=0 leaves libraries out") {
  const Variable off("0");
  const VendorLibrary library("libm", "libm.so.6");
  CHECK(library.missing() == "libm is not used, because RCNN_VENDOR_LIBRARIES is 0");
}

}  // namespace
}  // namespace rcnn::cuda
