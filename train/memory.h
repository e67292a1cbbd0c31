// How much memory a training run is going to take, and what would fit.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/context.h"
#include "core/host_memory.h"
#include "data/loader.h"
#include "models/faster_rcnn.h"
#include "train/sgd.h"

namespace rcnn {

/// What the run is going to do.
struct MemoryPlan {
  std::function<std::unique_ptr<FasterRcnn>()> make_model;  // as the run has it, on the CPU
  Sgd::Options sgd;
  LoaderOptions loader;
  int64_t steps = 0;
  int64_t accumulate = 1;            // batches a step
  bool averages = false;             // with an Ema
  std::vector<Sample> watched = {};  // images of the validation split
  float largest_scale = 1;           // of the network's size, from scale jitter
};

/// Bytes, all of them: of the process on a CPU, of the arena on a GPU.
struct MemoryForecast {
  Device device;
  int64_t batch = 0;              // images
  int64_t height = 0, width = 0;  // of the largest batch, padded
  int64_t capacity = 0;           // boxes an image in the largest batch
  int64_t program = 0;    // the program, what it compiles and packs, decoded images kept for the next epoch
  int64_t ahead = 0;      // for each image of the batch: decoded ones that wait for their turn
  int64_t fixed = 0;      // tensors of a step, whatever the batch
  int64_t per_image = 0;  // and for each image
  int64_t other = 0;      // tensors while a checkpoint is written or an image is looked at
  int64_t available = 0;  // that the run may have; 0: unknown

  int64_t peak(int64_t images) const {
    const int64_t tensors = std::max(other, fixed + images * per_image);
    return program + images * ahead +
           (device.type == DeviceType::cpu ? max_held_host_memory(tensors) : tensors);
  }
  /// The largest batch that fits; 0 when not even one image does.
  int64_t max_images() const;
};

/// Finds the largest batch of the run's stream from the images' sizes alone, trains on noise of that size
/// with one and with two images, and puts the loader's images on top. `like` gives device, precision, seed
/// and variants. To be called by a process that has not trained yet: it is measured as a whole. Throws Error
/// when not even two images fit.
///
/// Of a GPU it says what one size of batch takes: with several sizes the arena keeps more as long as nobody
/// else wants it.
MemoryForecast forecast_memory(const Context& like, const MemoryPlan& plan, const Dataset& train);

/// Two or three lines for people, each with its end of line.
std::string describe(const MemoryForecast& forecast);

/// "2.1 GiB", "350 MiB".
std::string format_bytes(int64_t bytes);

}  // namespace rcnn
