// Whether all processes of a run begin with the same things: the result must not depend on their number.
#pragma once

#include <string>
#include <vector>

#include "core/world.h"
#include "data/dataset.h"
#include "kernels/plans.h"
#include "models/faster_rcnn.h"

namespace rcnn {

/// One of the things that must be equal: "rank 1 begins with other `name` than rank 0; expected the same
/// `expected` in all processes".
struct Beginning {
  std::string name;
  std::string value;  // a digest, or lines of text, of which one that differs is shown
  std::string expected;
};

/// The digests of the images, their annotations and their ids (train/fingerprint.h); of a file that cannot be
/// read the reason.
Beginning beginning_of(const std::vector<const Dataset*>& data);
/// The digest of parameters and buffers.
Beginning beginning_of(FasterRcnn& model);

/// Compares what the ranks begin with. Throws InputError on every rank, with a sentence about the first one
/// that begins with another value than rank 0. Libraries, instructions, numbers of threads or plans that
/// differ are a warning. Every rank must give the same names.
void check_agreement(World& world, const std::vector<Beginning>& mine, const kernels::Plans* plans = nullptr);

}  // namespace rcnn
