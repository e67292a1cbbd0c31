#include <algorithm>

#include "core/parallel.h"
#include "kernels/boxes/sample.h"
#include "kernels/boxes/sample_math.h"

namespace rcnn::kernels {

void sample_reference(const Stream&, Workspace& workspace, const SampleArgs& a) {
  uint64_t* all_keys = workspace.take<uint64_t>(a.n * a.r);
  parallel_chunks(a.n, [&](int64_t n) {
    const int32_t* matched = a.matched + n * a.r;
    // Positives fill the keys from the front, negatives from the back.
    uint64_t *const keys = all_keys + n * a.r, *const end = keys + a.r;
    uint64_t *positives_end = keys, *negatives = end;
    for (int64_t row = 0; row < a.r; ++row) {
      if (matched[row] < -1) continue;
      const uint64_t key = sample_key(a.seed, a.purpose, *a.step, a.image_id[n], row);
      *(matched[row] >= 0 ? positives_end++ : --negatives) = key;
    }
    const SampleQuota take =
        sample_quota(positives_end - keys, end - negatives, a.batch, a.positive_fraction);
    std::partial_sort(keys, keys + take.positives, positives_end);
    std::partial_sort(negatives, negatives + take.negatives, end);

    if (a.labels) std::fill(a.labels + n * a.r, a.labels + (n + 1) * a.r, -1);
    if (a.rows) std::fill(a.rows + n * a.batch, a.rows + (n + 1) * a.batch, -1);
    int64_t count = 0;
    const auto put_rows = [&](const uint64_t* first, int64_t size, int32_t label) {
      for (int64_t i = 0; i < size; ++i, ++count) {
        const int32_t row = static_cast<int32_t>(first[i] & 0xFFFFFFFFu);
        if (a.labels) a.labels[n * a.r + row] = label;
        if (a.rows) a.rows[n * a.batch + count] = row;
      }
    };
    put_rows(keys, take.positives, 1);
    put_rows(negatives, take.negatives, 0);
    a.count[n] = static_cast<int32_t>(count);
  });
}

}  // namespace rcnn::kernels
