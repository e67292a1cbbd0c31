#pragma once

#include "core/parallel.h"

namespace rcnn::fixtures {

/// Ops run on one thread while this object lives: each rank has threads of its own, and those that wait for
/// their turn would disturb the others.
struct OneThread {
  int before = thread_count();
  OneThread() { set_thread_count(1); }
  ~OneThread() { set_thread_count(before); }
};

}  // namespace rcnn::fixtures
