// A forecast of the memory that a training run takes, and of the batch that would fit.
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
#include "train/gradient_sum.h"
#include "train/sgd.h"

namespace rcnn {

/// What the run is going to do.
struct MemoryPlan {
  std::function<std::unique_ptr<FasterRcnn>()> make_model;  // makes the run's model, on the CPU
  Sgd::Options sgd;
  LoaderOptions loader;
  int64_t steps = 0;
  int64_t accumulate = 1;               // batches per step, of all ranks
  int ranks = 1;                        // processes that train together
  int ranks_beside = 1;                 // those of them that share this machine's memory
  int ranks_per_machine = 0;            // World::ranks_per_machine
  int64_t bucket_bytes = kBucketBytes;  // of the gradients that they exchange
  bool averages = false;                // whether there is an Ema
  bool sync_bn = false;                 // whether the batches of a rank are in memory together
  std::vector<Sample> val = {};         // images of the validation split
  float largest_scale = 1;              // the maximum factor of an image's size, from scale jitter
};

/// Numbers of bytes: on a CPU those of the process, on a GPU those of the arena.
struct MemoryForecast {
  Device device;
  int64_t batch = 0;              // images
  int64_t height = 0, width = 0;  // of the largest batch, padded
  int64_t capacity = 0;           // boxes per image in the largest batch
  int64_t program = 0;    // the program, what it compiles and packs, decoded images kept for the next epoch
  int64_t ahead = 0;      // for each image of the batch: decoded images that wait for their turn
  int64_t fixed = 0;      // tensors of a step that do not depend on the batch ...
  int64_t per_image = 0;  // ... and those of each image
  /// The same with several ranks: `fixed` and `per_image` are those before the first exchange, these those
  /// before each further one. Images take less and gradients more the further backward has come.
  struct Passes {
    int64_t fixed = 0, per_image = 0;
  };
  std::vector<Passes> exchanging = {};
  int64_t other = 0;      // tensors after a step, while it detects, or writes a checkpoint
  int64_t available = 0;  // what the run may use; 0: unknown

  int64_t tensors(int64_t images) const {
    int64_t most = std::max(other, fixed + images * per_image);
    for (const Passes& passes : exchanging) most = std::max(most, passes.fixed + images * passes.per_image);
    return most;
  }
  int64_t peak(int64_t images) const {
    return program + images * ahead +
           (device.type == DeviceType::cpu ? max_held_host_memory(tensors(images)) : tensors(images));
  }
  /// The largest batch that fits; 0 if not even one image does.
  int64_t max_images() const;
};

/// Finds the largest batch of the run from the sizes of the images alone, trains on noise of that size with
/// one and with two images, with more if that takes little, and adds the loader's images. `like` gives
/// device, precision, seed and variants. The process is measured as a whole, so it must not have trained
/// before. Throws Error when not even two images fit.
///
/// On a GPU the forecast is for batches of one size: with several sizes the arena keeps more memory, which it
/// gives back when it is needed elsewhere.
MemoryForecast forecast_memory(const Context& like, const MemoryPlan& plan, const Dataset& train);

/// The forecast in two or three lines of text.
std::string describe(const MemoryForecast& forecast);

/// "2.1 GiB", "350 MiB".
std::string format_bytes(int64_t bytes);

}  // namespace rcnn
