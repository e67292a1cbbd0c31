// Results of an evaluation on standard output.
#pragma once

#include <string>
#include <vector>

#include "eval/average_precision.h"

namespace rcnn {

/// Average precision by class, under the name of the split.
void print_ap_table(const VocResult& result, const std::string& split);
/// Every fault in the data that reading continued in spite of.
void print_faults(const std::vector<Fault>& faults);

}  // namespace rcnn
