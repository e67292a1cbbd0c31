// Results of an evaluation on standard output.
#pragma once

#include <string>
#include <vector>

#include "eval/average_precision.h"

namespace rcnn {

/// Prints the average precision of each class, under the name of the split.
void print_ap_table(const VocResult& result, const std::string& split);
/// Prints one line per fault in the data, or nothing if there are no faults.
void print_faults(const std::vector<Fault>& faults);

}  // namespace rcnn
