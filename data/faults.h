// Faults and notes of a dataset as lines of text, each kind together.
#pragma once

#include <string>
#include <vector>

#include "data/dataset.h"

namespace rcnn {

struct FaultListing {
  std::string indent = {};  // before every line
  std::string where = "in the data";
  bool all = false;       // every entry, otherwise the first three of each kind
  bool say_none = false;  // "0 faults in the data", otherwise nothing if there is none
};

/// "2 faults in the data:" with a line for each, then the notes in the same way. From four on, entries are
/// under the name of their kind with its number, and a line says how many of a kind are not listed.
std::string list_faults(const std::vector<Fault>& entries, const FaultListing& listing = {});

}  // namespace rcnn
