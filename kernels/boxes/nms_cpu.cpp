#include <algorithm>

#include "core/parallel.h"
#include "kernels/boxes/box_math.h"
#include "kernels/boxes/nms.h"
#include "kernels/boxes/score_order.h"

namespace rcnn::kernels {

void nms_reference(const Stream&, Workspace& workspace, const NmsArgs& a) {
  int32_t* order = workspace.take<int32_t>(a.m);
  for (int64_t n = 0; n < a.n; ++n) {
    const float* boxes = a.boxes + n * a.m * 4;
    const float* scores = a.scores + n * a.m;
    const int32_t* group = a.group + n * a.m;
    int32_t* keep = a.keep + n * a.capacity;
    const auto box = [&](int32_t row) { return spanned(load_box(boxes + row * 4), a.plus_one); };

    int64_t candidates = 0;
    for (int64_t row = 0; row < a.m; ++row)
      if (group[row] >= 0 && !std::isnan(scores[row])) order[candidates++] = static_cast<int32_t>(row);
    std::sort(order, order + candidates, [&](int32_t i, int32_t j) {
      return scores[i] > scores[j] || (scores[i] == scores[j] && i < j);
    });

    int64_t kept = 0;
    for (int64_t i = 0; i < candidates && kept < a.capacity; ++i) {
      const int32_t row = order[i];
      const bool suppressed = std::any_of(keep, keep + kept, [&](int32_t other) {
        return group[other] == group[row] && iou(box(other), box(row)) > a.threshold;
      });
      if (!suppressed) keep[kept++] = row;
    }
    std::fill(keep + kept, keep + a.capacity, -1);
    a.count[n] = static_cast<int32_t>(kept);
  }
}

namespace {

/// The boxes kept so far, with one array per coordinate, so that a loop over them is vectorised.
struct KeptBoxes {
  float *x1, *y1, *x2, *y2, *area;
  int32_t* group;

  KeptBoxes(Workspace& workspace, int64_t capacity)
      : x1(workspace.take<float>(capacity)),
        y1(workspace.take<float>(capacity)),
        x2(workspace.take<float>(capacity)),
        y2(workspace.take<float>(capacity)),
        area(workspace.take<float>(capacity)),
        group(workspace.take<int32_t>(capacity)) {}

  void set(int64_t i, const Box& box, int32_t group_of_box) const {
    x1[i] = box.x1, y1[i] = box.y1, x2[i] = box.x2, y2[i] = box.y2;
    area[i] = box_area(box);
    group[i] = group_of_box;
  }

  /// True when a box in [begin, end) of the same group overlaps this one by more than the threshold.
  bool suppress(int64_t begin, int64_t end, const Box& box, int32_t group_of_box, float threshold) const {
    constexpr int64_t kStep = 64;  // boxes between two tests of the result
    const float area_of_box = box_area(box);
    for (int64_t from = begin; from < end; from += kStep) {
      const int64_t to = std::min(end, from + kStep);
      int found = 0;
      for (int64_t i = from; i < to; ++i) {
        const Box other{x1[i], y1[i], x2[i], y2[i]};
        found |= static_cast<int>(iou(other, area[i], box, area_of_box) > threshold) &
                 static_cast<int>(group[i] == group_of_box);
      }
      if (found) return true;
    }
    return false;
  }
};

/// Fills `keys` with the keys of the rows that take part, in visiting order, and returns their number.
int64_t order_rows(const float* scores, const int32_t* group, int64_t rows, uint64_t* keys) {
  int64_t count = 0;
  for (int64_t row = 0; row < rows; ++row)
    if (group[row] >= 0 && !std::isnan(scores[row])) keys[count++] = score_key(scores[row], row);
  std::sort(keys, keys + count);
  return count;
}

}  // namespace

void nms_vector_scan(const Stream&, Workspace& workspace, const NmsArgs& a) {
  const int64_t slots = std::min(a.m, a.capacity);
  uint64_t* all_keys = workspace.take<uint64_t>(a.n * a.m);
  const KeptBoxes kept_boxes(workspace, a.n * slots);
  parallel_chunks(a.n, [&](int64_t n) {
    const float* boxes = a.boxes + n * a.m * 4;
    const int32_t* group = a.group + n * a.m;
    const int64_t first = n * slots;  // place of this image's first kept box
    uint64_t* keys = all_keys + n * a.m;
    int32_t* keep = a.keep + n * a.capacity;
    const int64_t candidates = order_rows(a.scores + n * a.m, group, a.m, keys);
    int64_t kept = 0;
    for (int64_t i = 0; i < candidates && kept < a.capacity; ++i) {
      const int32_t row = row_of_key(keys[i]);
      const Box box = spanned(load_box(boxes + row * 4), a.plus_one);
      if (kept_boxes.suppress(first, first + kept, box, group[row], a.threshold)) continue;
      kept_boxes.set(first + kept, box, group[row]);
      keep[kept++] = row;
    }
    std::fill(keep + kept, keep + a.capacity, -1);
    a.count[n] = static_cast<int32_t>(kept);
  });
}

}  // namespace rcnn::kernels
