#include "eval/print.h"

#include <fmt/format.h>

#include <algorithm>

#include "data/faults.h"

namespace rcnn {

void print_ap_table(const VocResult& result, const std::string& split) {
  size_t width = 5;
  for (const ClassResult& c : result.classes) width = std::max(width, c.name.size());
  fmt::print("\n{:<{}}  {:>8}  {:>8}  {:>7}  {:>10}\n", split, width, "AP@.5", "11-point", "objects",
             "detections");
  for (const ClassResult& c : result.classes) {
    if (c.truths == 0)
      fmt::print("{:<{}}  {:>8}  {:>8}  {:>7}  {:>10}\n", c.name, width, "-", "-", 0, c.detections);
    else
      fmt::print("{:<{}}  {:>8.4f}  {:>8.4f}  {:>7}  {:>10}\n", c.name, width, c.ap_area, c.ap_11point,
                 c.truths, c.detections);
  }
  fmt::print("{:<{}}  {:>8.4f}  {:>8.4f}\n\n", "mean", width, result.map_area, result.map_11point);
}

void print_faults(const std::vector<Fault>& faults) { fmt::print("{}", list_faults(faults)); }

}  // namespace rcnn
