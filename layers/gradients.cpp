#include "layers/gradients.h"

#include "core/parallel.h"

namespace rcnn {

void add_gradient(const GradientTarget& target, const Tensor& value) {
  if (!target) return;
  if (target.accumulate == Accumulate::no) return target.value.copy_from(value);
  visit_float(value.dtype(), "add_gradient", [&](auto zero) {
    using T = decltype(zero);
    const T* source = value.data<T>();
    T* sum = target.data<T>();
    parallel_for(value.numel(), 1 << 15, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) sum[i] += source[i];
    });
  });
}

}  // namespace rcnn
