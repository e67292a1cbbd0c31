#include "eval/print.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/log.h"
#include "data/faults.h"

namespace rcnn {

void print_ap_table(const VocResult& result, const std::string& split) {
  size_t width = 5;
  for (const ClassResult& c : result.classes) width = std::max(width, c.name.size());
  print_log("\n{:<{}}  {:>8}  {:>8}  {:>7}  {:>10}\n", split, width, "AP@.5", "11-point", "objects",
            "detections");
  for (const ClassResult& c : result.classes) {
    if (c.truths == 0)
      print_log("{:<{}}  {:>8}  {:>8}  {:>7}  {:>10}\n", c.name, width, "-", "-", 0, c.detections);
    else
      print_log("{:<{}}  {:>8.4f}  {:>8.4f}  {:>7}  {:>10}\n", c.name, width, c.ap_area, c.ap_11point,
                c.truths, c.detections);
  }
  print_log("{:<{}}  {:>8.4f}  {:>8.4f}\n\n", "mean", width, result.map_area, result.map_11point);
}

void print_faults(const std::vector<Fault>& faults) { print_log("{}", list_faults(faults)); }

}  // namespace rcnn
