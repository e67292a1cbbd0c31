// System calls that a signal interrupts before they have done anything.
#pragma once

#include <cerrno>

namespace rcnn {

/// Repeats the call, which returns a negative number on failure, as long as it fails with EINTR. Not for
/// close: its descriptor is free all the same.
template <class Call>
auto retried(const Call& call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

}  // namespace rcnn
