// An endless stream of batches of decoded images, which threads prepare ahead of their use.
//
// A batch depends only on its index and on the options that say what it holds: the order of an epoch is a
// Fisher-Yates shuffle keyed by (seed, epoch), and what is done to an image is keyed by (seed, epoch,
// sample). The stream is therefore the same for any number of workers, and a resumed run continues it by
// starting at `first_batch`.
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

#include "core/world.h"
#include "data/augment.h"
#include "data/dataset.h"
#include "data/image.h"

namespace rcnn {

struct LoaderOptions {
  int batch = 1;  // images
  uint64_t seed = 0;
  bool shuffle = false;
  /// With `shuffle`: wide images and tall images form separate batches, so that less of a batch is padding.
  /// The images that do not fill a batch are mixed at the end of the epoch.
  bool group_by_aspect = false;
  /// The batches of a training step. With `group_by_aspect` they have one orientation, as long as there are
  /// images for that: processes that share them then have about the same work.
  int64_t step = 1;
  AugmentOptions augment = {};
  int workers = 2;  // threads; 0 loads in the thread that calls next()
  /// Leave out the last batch of an epoch if it would be short, as training does; with `shuffle`, different
  /// images are left out each time. A dataset smaller than one batch still gives that one batch.
  bool drop_last = false;
  size_t cache_bytes = size_t{1} << 30;  // the maximum for decoded images kept for the next epoch
  /// The part of the stream that one of several processes loads: of every share.of batches those from
  /// share.begin to share.end. The number of the first batch must be a multiple of share.of.
  Share share = {};
};

struct LoadedImage {
  int sample = 0;  // index into Dataset::samples
  Image image;
  std::vector<Object> objects;
  float scale = 1;                                 // of the network's size, to which the image is resized
  std::optional<std::vector<Box>> proposals = {};  // if the dataset has them
};

struct Batch {
  int64_t index = 0;
  int epoch = 0;  // from 0
  std::vector<LoadedImage> images;
};

class Loader {
 public:
  /// The dataset must outlive the loader and stay unchanged. Throws InputError if it has no sample, Error if
  /// the system does not start as many threads as there are workers.
  Loader(const Dataset& dataset, const LoaderOptions& options, int64_t first_batch = 0);
  /// Ends the threads. Waits at most for the image that each of them is preparing.
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  /// The next batch. An image that cannot be decoded is left out and reported once in `faults`; if no image
  /// of a batch can be decoded, the next one in the order of the epoch that can be takes their place. Throws
  /// InputError if no image of the dataset can be decoded, and rethrows whatever else failed in a worker.
  Batch next();

  int64_t batches_per_epoch() const { return batches_per_epoch_; }
  /// The samples of batch number `index` of the stream, including those that cannot be decoded. Decodes
  /// nothing.
  std::vector<int> samples_of(int64_t index);
  /// The maximum number of batches in memory, including the one in use.
  static int64_t max_batches(const LoaderOptions& options);

  /// The images that could not be decoded in the batches handed out so far, in the order of the stream.
  const std::vector<Fault>& faults() const { return faults_; }
  /// The same on all ranks, each of which loads its share of the stream: every rank gets what one process
  /// would have found in all batches.
  std::vector<Fault> faults_of(World& world) const;

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
  void stop();
  Loaded take();
  /// The number in the stream of the batch that is handed out as number `place`.
  int64_t number_of(int64_t place) const;

  const Dataset& dataset_;
  const LoaderOptions options_;
  int64_t batches_per_epoch_ = 0;
  std::vector<Fault> faults_;
  struct Origin {
    int64_t batch;
    int sample;
  };
  std::vector<Origin> fault_origins_;  // of each fault
  std::unordered_set<int> reported_;

  std::mutex order_mutex_;
  std::map<int, std::shared_ptr<const Order>> orders_;  // of the epochs that workers are in

  std::mutex cache_mutex_;
  std::vector<std::shared_ptr<const Image>> cache_;  // by sample
  size_t cached_bytes_ = 0;

  std::mutex queue_mutex_;
  std::condition_variable work_wanted_, batch_ready_;
  std::map<int64_t, Loaded> ready_;
  int64_t next_to_load_ = 0, next_to_take_ = 0;  // counted among the batches of the share
  std::atomic<bool> stop_ = false;
  std::vector<std::thread> threads_;
};

/// The first `count` images that a loader with these options hands out in epoch 0, or all if it has fewer:
/// the images that training will see. Throws as Loader::next does.
std::vector<LoadedImage> first_images(const Dataset& dataset, const LoaderOptions& options, size_t count);

}  // namespace rcnn
