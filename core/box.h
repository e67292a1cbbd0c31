// A box given by two of its corners.
#pragma once

namespace rcnn {

/// Corners in continuous pixel coordinates: pixel i covers [i, i + 1), so a box around one pixel has area 1.
template <class T>
struct BoxOf {
  T x1 = 0, y1 = 0, x2 = 0, y2 = 0;
  bool operator==(const BoxOf&) const = default;
};

using Box = BoxOf<float>;

}  // namespace rcnn
