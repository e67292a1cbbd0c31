// An endless stream of batches of decoded images, prepared by threads ahead of their use.
//
// A batch depends on its index and the options that say what it holds alone: the order of an epoch is a
// Fisher-Yates shuffle keyed by (seed, epoch), what is done to an image is keyed by (seed, epoch, sample). So
// the stream is the same for any number of workers, and a resumed run continues it by starting at
// `first_batch`.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_set>
#include <vector>

#include "data/augment.h"
#include "data/dataset.h"
#include "data/image.h"

namespace rcnn {

struct LoaderOptions {
  int batch = 1;  // images
  uint64_t seed = 0;
  bool shuffle = false;
  /// With `shuffle`: batches of wide images and batches of tall ones, as far as they come out even, so that
  /// less of a batch is padding. What is left over of each at an epoch's end is mixed.
  bool group_by_aspect = false;
  AugmentOptions augment = {};
  int workers = 2;  // threads; 0 loads in the thread that calls next()
  /// Leave out the last batch of an epoch where it would be short, as training wants it: with `shuffle` other
  /// images are left out each time. A dataset smaller than one batch still gives that one.
  bool drop_last = false;
  size_t cache_bytes = size_t{1} << 30;  // decoded images kept for the next epoch, up to this
};

struct LoadedImage {
  int sample = 0;  // index into Dataset::samples
  Image image;
  std::vector<Object> objects;
  float scale = 1;                                 // of the network's size that it is to be resized to
  std::optional<std::vector<Box>> proposals = {};  // where the dataset has them
};

struct Batch {
  int64_t index = 0;
  int epoch = 0;  // from 0
  std::vector<LoadedImage> images;
};

class Loader {
 public:
  /// The dataset must outlive the loader and stay as it is. Throws InputError where it has no sample.
  Loader(const Dataset& dataset, const LoaderOptions& options, int64_t first_batch = 0);
  /// Ends the threads; waits at most for the image that each is preparing.
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  /// The next batch. An image that cannot be decoded is left out of it and reported once in `faults`; where
  /// no image of a batch can be, the next one of the epoch's order that can stands in. Throws InputError
  /// where none of the dataset can be, and whatever else a worker ran into.
  Batch next();

  int64_t batches_per_epoch() const { return batches_per_epoch_; }
  /// The samples that batch number `index` of the stream is made of, unless some cannot be decoded. Decodes
  /// nothing.
  std::vector<int> samples_of(int64_t index);
  /// Batches that are in memory at most, the one in use included.
  static int64_t most_batches(const LoaderOptions& options);

  /// The images that could not be decoded in the batches handed out so far, in the stream's order.
  const std::vector<Fault>& faults() const { return faults_; }

 private:
  struct Undecodable {
    int sample;
    std::string what;
  };
  struct Loaded {
    Batch batch;
    std::vector<Undecodable> undecodable;
    std::exception_ptr failure;
  };
  using Order = std::vector<int>;

  Loaded load_batch(int64_t index);
  void load_images(Loaded& loaded);
  void load_image(int sample, Loaded& loaded);
  std::shared_ptr<const Image> decoded(int sample);
  std::shared_ptr<const Order> order_of(int epoch);
  void work();
  Loaded take();

  const Dataset& dataset_;
  const LoaderOptions options_;
  int64_t batches_per_epoch_ = 0;
  std::vector<Fault> faults_;
  std::unordered_set<int> reported_;

  std::mutex order_mutex_;
  std::map<int, std::shared_ptr<const Order>> orders_;  // of the epochs in work

  std::mutex cache_mutex_;
  std::vector<std::shared_ptr<const Image>> cache_;  // by sample
  size_t cached_bytes_ = 0;

  std::mutex queue_mutex_;
  std::condition_variable work_wanted_, batch_ready_;
  std::map<int64_t, Loaded> ready_;
  int64_t next_to_load_ = 0, next_to_take_ = 0;
  std::atomic<bool> stop_ = false;
  std::vector<std::thread> threads_;
};

/// The first `count` images that a loader with these options hands out in epoch 0, fewer where it has fewer:
/// what training is going to see. Throws as Loader::next does.
std::vector<LoadedImage> first_images(const Dataset& dataset, const LoaderOptions& options, size_t count);

}  // namespace rcnn
