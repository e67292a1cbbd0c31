// Divides a dataset into splits at random, such that each class is in every split in proportion.
//
// Images that belong together go to one split: those with the same bytes, the versions of one photograph that
// Roboflow exports under its name (photo_jpg.rf.<digest>.jpg), and on request those of one folder or of one
// sequence. The division is iterative stratification (K. Sechidis, G. Tsoumakas, I. Vlahavas, "On the
// Stratification of Multi-label Data", ECML PKDD 2011): the class that is left in the fewest images is
// distributed first, and each of its images goes to the split that lacks most of that class. Unlike in the
// paper, a split never gets more images than its share as long as another one has room.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "data/parts.h"

namespace rcnn {

struct SplitShare {
  std::string split;
  double share = 0;  // of the images; those of all splits sum to 1
  bool operator==(const SplitShare&) const = default;
};

/// Reads "train=.8,val=.1,test=.1", or the same in percent. "valid" is "val". Throws InputError for a text of
/// another form, a share that is not positive, shares that do not sum to 1 (or 100), a repeated name, and a
/// name that the forms cannot hold or that would be read back as another split.
std::vector<SplitShare> parse_shares(const std::string& text);

/// What goes to one split besides images that are the same: nothing, the images of a folder, or the frames of
/// a sequence, which are images of one folder whose names differ in the number at their end.
enum class Together { same_images, folders, sequences };

struct Division {
  std::vector<DataPart> parts;  // in the order of the shares, images in the order of the dataset
  size_t copies = 0;            // images with the bytes of another one before them
  size_t versions = 0;          // images that are Roboflow's versions of a photograph that has several
  size_t groups = 0;            // of images that belong together; a single image is one, too
};

/// Divides the images. Each split gets its share of the images, rounded, at least one, if groups of images do
/// not prevent that. The result depends on the seed, and on names and contents of the images, not on their
/// order. All parts have the classes of the dataset, and none its faults. Throws InputError if there are
/// fewer groups than splits.
Division divide(const Dataset& dataset, const std::vector<SplitShare>& shares, uint64_t seed,
                Together together = Together::same_images);

}  // namespace rcnn
