#include "data/loader.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <string>
#include <utility>

#include "core/error.h"
#include "core/rng.h"
#include "core/threads.h"
#include "core/world/packing.h"

namespace rcnn {
namespace {

constexpr int64_t kBatchesAhead = 2;  // in addition to the one that each worker is loading

int64_t count_batches(size_t samples, const LoaderOptions& options) {
  const auto n = static_cast<int64_t>(samples);
  const int64_t whole = n / options.batch;
  const bool partial = n % options.batch != 0 && (!options.drop_last || whole == 0);
  return whole + (partial ? 1 : 0);
}

std::vector<int> shuffled(size_t samples, uint64_t seed, int epoch) {
  std::vector<int> order(samples);
  std::iota(order.begin(), order.end(), 0);
  RandomSequence random(seed, Purpose::shuffle, static_cast<uint32_t>(epoch));
  for (size_t i = samples; i > 1; --i) std::swap(order[i - 1], order[random.below(static_cast<uint32_t>(i))]);
  return order;
}

struct Grouped {
  std::vector<int> groups;  // one after the other
  std::vector<int> rest;    // in the order that they had
};

/// At most so many groups of samples of one orientation; a group comes as soon as it is full.
Grouped grouped(const std::vector<int>& order, const Dataset& dataset, size_t size, size_t max_groups) {
  Grouped result;
  std::vector<bool> taken(dataset.samples.size());
  std::array<std::vector<int>, 2> waiting;
  for (const int sample : order) {
    const Sample& s = dataset.samples[static_cast<size_t>(sample)];
    std::vector<int>& like = waiting[s.height > s.width ? 1 : 0];
    like.push_back(sample);
    if (like.size() < size || result.groups.size() == size * max_groups) continue;
    for (const int one : like) taken[static_cast<size_t>(one)] = true;
    result.groups.insert(result.groups.end(), like.begin(), like.end());
    like.clear();
  }
  for (const int sample : order)
    if (!taken[static_cast<size_t>(sample)]) result.rest.push_back(sample);
  return result;
}

/// The samples of an epoch whose first batch has this number in the stream. Steps of one orientation come
/// first, after the batches that complete a step of the epoch before; then batches of one orientation. The
/// remaining samples keep their order, so that drop_last does not always leave out the same orientation.
std::vector<int> grouped_by_step(const std::vector<int>& order, const Dataset& dataset,
                                 const LoaderOptions& options, int64_t first) {
  const auto batch = static_cast<size_t>(options.batch), step = static_cast<size_t>(options.step);
  const size_t whole = order.size() / batch, lead = (step - static_cast<size_t>(first) % step) % step;
  const Grouped steps = grouped(order, dataset, batch * step, whole > lead ? (whole - lead) / step : 0);
  Grouped batches = grouped(steps.rest, dataset, batch, order.size());
  std::vector<int>& result = batches.groups;
  result.insert(result.end(), batches.rest.begin(), batches.rest.end());
  result.insert(result.begin() + static_cast<std::ptrdiff_t>(std::min(lead * batch, result.size())),
                steps.groups.begin(), steps.groups.end());
  return result;
}

}  // namespace

Loader::Loader(const Dataset& dataset, const LoaderOptions& options, int64_t first_batch)
    : dataset_(dataset),
      options_(options),
      cache_(dataset.samples.size()),
      next_to_load_(first_batch / options.share.of * options.share.count()),
      next_to_take_(next_to_load_) {
  check_input(!dataset.samples.empty(), "The dataset holds no image to load.");
  check_input(options.batch >= 1, "batch = {}: expected at least 1 image.", options.batch);
  check(options.step >= 1, "Loader: a step of {} batches.", options.step);
  check_input(options.workers >= 0, "workers = {}: expected 0 or more threads.", options.workers);
  check_options(options.augment);
  check(first_batch >= 0 && first_batch % options.share.of == 0,
        "Loader: first_batch = {}; expected 0 or more, and a multiple of {}.", first_batch, options.share.of);
  check(options.share.count() > 0, "Loader: a share without a batch.");
  batches_per_epoch_ = count_batches(dataset.samples.size(), options);
  start_threads(
      threads_, options.workers, [this] { work(); }, [this] { stop(); });
}

Loader::~Loader() {
  stop();
  for (std::thread& thread : threads_) thread.join();
}

void Loader::stop() {
  {
    const std::lock_guard lock(queue_mutex_);
    stop_ = true;
  }
  work_wanted_.notify_all();
}

int64_t Loader::number_of(int64_t place) const {
  const Share& share = options_.share;
  return place / share.count() * share.of + share.begin + place % share.count();
}

Batch Loader::next() {
  Loaded loaded = options_.workers == 0 ? load_batch(number_of(next_to_take_++)) : take();
  for (const Undecodable& bad : loaded.undecodable) {
    if (!reported_.insert(bad.sample).second) continue;
    faults_.push_back(
        {dataset_.samples[static_cast<size_t>(bad.sample)].image, bad.what, FaultKind::undecodable});
    fault_origins_.push_back({loaded.batch.index, bad.sample});
  }
  if (loaded.failure) std::rethrow_exception(loaded.failure);
  return std::move(loaded.batch);
}

std::vector<Fault> Loader::faults_of(World& world) const {
  if (world.size() == 1) return faults_;
  Packer packer;
  for (size_t i = 0; i < faults_.size(); ++i) {
    packer.value(fault_origins_[i]);
    packer.list(faults_[i].what);
  }
  std::vector<std::pair<Origin, Fault>> all;
  for (const Bytes& bytes : world.all_gather(packer.bytes()))
    for (Unpacker unpacker(bytes); !unpacker.is_empty();) {
      const auto origin = unpacker.value<Origin>();
      all.push_back({origin,
                     {dataset_.samples.at(static_cast<size_t>(origin.sample)).image,
                      unpacker.list<std::string>(), FaultKind::undecodable}});
    }
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return a.first.batch < b.first.batch; });
  std::vector<Fault> faults;
  std::unordered_set<int> known;
  for (auto& [origin, fault] : all)
    if (known.insert(origin.sample).second) faults.push_back(std::move(fault));
  return faults;
}

std::vector<int> Loader::samples_of(int64_t index) {
  const std::shared_ptr<const Order> order = order_of(static_cast<int>(index / batches_per_epoch_));
  const size_t size = static_cast<size_t>(options_.batch);
  const size_t begin = static_cast<size_t>(index % batches_per_epoch_) * size;
  const auto at = [&](size_t i) {
    return order->begin() + static_cast<std::ptrdiff_t>(std::min(i, order->size()));
  };
  return {at(begin), at(begin + size)};
}

int64_t Loader::max_batches(const LoaderOptions& options) {
  return 1 + (options.workers == 0 ? 0 : options.workers + kBatchesAhead);
}

Loader::Loaded Loader::take() {
  std::unique_lock lock(queue_mutex_);
  batch_ready_.wait(lock, [this] { return ready_.contains(next_to_take_); });
  Loaded loaded = std::move(ready_.extract(next_to_take_).mapped());
  ++next_to_take_;
  lock.unlock();
  work_wanted_.notify_all();
  return loaded;
}

/// A worker: claims the next batch when the queue has room for it, loads it and hands it over.
void Loader::work() {
  std::unique_lock lock(queue_mutex_);
  while (true) {
    work_wanted_.wait(
        lock, [this] { return stop_ || next_to_load_ < next_to_take_ + options_.workers + kBatchesAhead; });
    if (stop_) return;
    const int64_t index = next_to_load_++;
    lock.unlock();
    Loaded loaded = load_batch(number_of(index));
    lock.lock();
    ready_.emplace(index, std::move(loaded));
    batch_ready_.notify_one();
  }
}

Loader::Loaded Loader::load_batch(int64_t index) {
  Loaded loaded;
  loaded.batch.index = index;
  loaded.batch.epoch = static_cast<int>(index / batches_per_epoch_);
  try {
    load_images(loaded);
  } catch (...) {
    loaded.failure = std::current_exception();
  }
  return loaded;
}

void Loader::load_images(Loaded& loaded) {
  const std::shared_ptr<const Order> order = order_of(loaded.batch.epoch);
  const size_t count = order->size(), size = static_cast<size_t>(options_.batch);
  const size_t begin = static_cast<size_t>(loaded.batch.index % batches_per_epoch_) * size;
  const size_t end = std::min(begin + size, count);
  for (size_t i = begin; i < end && !stop_; ++i) load_image((*order)[i], loaded);
  // If no image could be decoded, the following ones are tried.
  for (size_t i = end; loaded.batch.images.empty() && !stop_; ++i) {
    check_input(i < begin + count, "None of the {} images of {} can be decoded; the first fault: {}", count,
                dataset_.name.empty() ? "the dataset" : fmt::format("the split '{}'", dataset_.name),
                loaded.undecodable.front().what);
    load_image((*order)[i % count], loaded);
  }
}

/// Adds a sample to the batch, or to the undecodable samples.
void Loader::load_image(int sample, Loaded& loaded) {
  std::shared_ptr<const Image> image;
  try {
    image = decoded(sample);
  } catch (const InputError& error) {
    loaded.undecodable.push_back({sample, error.what()});
    return;
  }
  const FetchImage fetch = [this](int other) -> std::shared_ptr<const Image> {
    try {
      return decoded(other);
    } catch (const InputError&) {  // reported when this sample itself is loaded
      return nullptr;
    }
  };
  AugmentedImage made =
      augment(options_.augment, options_.seed, loaded.batch.epoch, sample, dataset_, *image, fetch);
  loaded.batch.images.push_back(
      {sample, std::move(made.image), std::move(made.objects), made.scale, std::move(made.proposals)});
}

/// The image of a sample, from the cache if it is there. The cache keeps images until it is full; nothing is
/// evicted, because every epoch needs every image once.
std::shared_ptr<const Image> Loader::decoded(int sample) {
  const auto slot = static_cast<size_t>(sample);
  {
    const std::lock_guard lock(cache_mutex_);
    if (cache_[slot]) return cache_[slot];
  }
  auto image = std::make_shared<const Image>(read_image(dataset_.samples[slot].image));
  const std::lock_guard lock(cache_mutex_);
  if (!cache_[slot] && cached_bytes_ + image->rgb.size() <= options_.cache_bytes) {
    cached_bytes_ += image->rgb.size();
    cache_[slot] = image;
  }
  return image;
}

/// The order of an epoch, kept while workers are in that epoch or in the one before.
std::shared_ptr<const Loader::Order> Loader::order_of(int epoch) {
  const std::lock_guard lock(order_mutex_);
  std::shared_ptr<const Order>& kept = orders_[epoch];
  if (kept) return kept;
  auto order = std::make_shared<Order>(dataset_.samples.size());
  std::iota(order->begin(), order->end(), 0);
  if (options_.shuffle) *order = shuffled(order->size(), options_.seed, epoch);
  if (options_.shuffle && options_.group_by_aspect)
    *order = grouped_by_step(*order, dataset_, options_, epoch * batches_per_epoch_);
  kept = order;
  orders_.erase(orders_.begin(), orders_.lower_bound(epoch - 1));
  return order;
}

std::vector<LoadedImage> first_images(const Dataset& dataset, const LoaderOptions& options, size_t count) {
  LoaderOptions here = options;
  here.workers = 0;
  Loader loader(dataset, here);
  std::vector<LoadedImage> images;
  for (int64_t i = 0; i < loader.batches_per_epoch() && images.size() < count; ++i)
    for (LoadedImage& image : loader.next().images)
      if (images.size() < count) images.push_back(std::move(image));
  return images;
}

}  // namespace rcnn
