// Results of an evaluation on standard output.
#pragma once

#include <string>
#include <vector>

#include "eval/average_precision.h"

namespace rcnn {

/// Average precision by class, under the name of the split.
void print_ap_table(const VocResult& result, const std::string& split);
/// One line per fault in the data; nothing where there is none.
void print_faults(const std::vector<Fault>& faults);

}  // namespace rcnn
