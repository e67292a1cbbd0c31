// Results of an evaluation on standard output.
#pragma once

#include <string>
#include <vector>

#include "eval/average_precision.h"

namespace rcnn {

/// Prints the average precision of each class, under the name of the split.
void print_ap_table(const VocResult& result, const std::string& split);
/// Prints the faults in the data and the notes on them (list_faults), or nothing if there are none.
void print_faults(const std::vector<Fault>& faults);

}  // namespace rcnn
