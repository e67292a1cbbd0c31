// `train --explain-every N IMAGE`: what the network makes of one image is kept every N steps, as a line of
// learning.jsonl, and learning.html plays the frames.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "data/image.h"
#include "report/learning.h"
#include "train/json_lines.h"
#include "train/run.h"

namespace rcnn {

class LearningSeries {
 public:
  /// Reads the image of the options, and continues the series in the run's folder if the run is resumed.
  /// Throws InputError naming the file if that series is of another image.
  explicit LearningSeries(Run& run);

  /// Whether a frame is taken after this many steps; `end` says that they are the last ones.
  bool due(int64_t step, bool end) const { return step % run_.options.explain_every == 0 || end; }
  /// Takes a frame with the weights as they are. A frame of this step that is there already stays.
  void add(int64_t step);
  /// Waits until the frames are on the disk, and writes the page with all of them.
  void save();

 private:
  Run& run_;
  Image image_;
  std::string digest_;
  std::vector<Object> objects_;
  JsonLines lines_;
  int64_t newest_ = -1;  // step of the last frame
};

/// Throws InputError if --explain-every does not fit the other settings, or if its image cannot be read.
void check_explained_image(const RunOptions& options);

}  // namespace rcnn
