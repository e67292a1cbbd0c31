#include "data/loader.h"

#include <cmath>
#include <fstream>
#include <set>

#include "tests/data/fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

/// `count` small PNG files as a dataset; image i is random_image(9, 7, i).
struct Pictures {
  TemporaryFolder folder;
  Dataset data;

  explicit Pictures(int count) {
    data.classes = {"thing"};
    for (int i = 0; i < count; ++i) {
      const std::filesystem::path file = folder / fmt::format("p{:02}.png", i);
      write_png(file, random_image(9, 7, static_cast<uint32_t>(i)));
      data.samples.push_back(
          {fmt::format("p{:02}", i), file, 9, 7, {{{1, 2, 3 + static_cast<float>(i % 5), 6}, 1, false}}});
    }
  }
  void spoil(int i) const { write_text(data.samples[static_cast<size_t>(i)].image, "no image at all"); }
};

/// The whole content of a stream of batches, for comparison.
struct Stream {
  std::vector<int64_t> indices;
  std::vector<int> epochs;
  std::vector<std::vector<int>> samples;
  std::vector<std::vector<uint8_t>> pixels;
  std::vector<Object> objects;
  std::vector<float> scales;
  std::vector<std::string> faults;
  bool operator==(const Stream&) const = default;
};

Stream take(Loader& loader, int count) {
  Stream stream;
  for (int i = 0; i < count; ++i) {
    const Batch batch = loader.next();
    stream.indices.push_back(batch.index);
    stream.epochs.push_back(batch.epoch);
    stream.samples.emplace_back();
    for (const LoadedImage& image : batch.images) {
      stream.samples.back().push_back(image.sample);
      stream.pixels.push_back(image.image.rgb);
      stream.scales.push_back(image.scale);
      stream.objects.insert(stream.objects.end(), image.objects.begin(), image.objects.end());
    }
  }
  for (const Fault& fault : loader.faults()) stream.faults.push_back(fault.what);
  return stream;
}

LoaderOptions training_options(int workers) {
  return {.batch = 4,
          .seed = 11,
          .shuffle = true,
          .group_by_aspect = true,
          .augment = {.mosaic = 0.3f,
                      .crop = 0.5f,
                      .flip_horizontal = true,
                      .flip_vertical = true,
                      .colour_jitter = 0.4f,
                      .scale_jitter = 0.25f},
          .workers = workers,
          .drop_last = true};
}

Stream take(const Dataset& data, const LoaderOptions& options, int count, int64_t first_batch = 0) {
  Loader loader(data, options, first_batch);
  return take(loader, count);
}

}  // namespace

TEST_CASE("loader: by default samples are in order and unchanged") {
  const Pictures pictures(5);
  Loader loader(pictures.data, {.batch = 2, .workers = 0});
  CHECK(loader.batches_per_epoch() == 3);
  const Stream stream = take(loader, 4);
  CHECK(stream.indices == std::vector<int64_t>{0, 1, 2, 3});
  CHECK(stream.epochs == std::vector<int>{0, 0, 0, 1});
  CHECK(stream.samples == std::vector<std::vector<int>>{{0, 1}, {2, 3}, {4}, {0, 1}});
  for (size_t i = 0; i < 5; ++i) {
    CHECK(stream.pixels[i] == random_image(9, 7, static_cast<uint32_t>(i)).rgb);
    CHECK(stream.objects[i] == pictures.data.samples[i].objects[0]);
    CHECK(stream.scales[i] == 1);
  }
  CHECK(stream.faults.empty());
}

TEST_CASE("loader: drop_last leaves the short batch out, but never the only one") {
  const Pictures pictures(5);
  CHECK(Loader(pictures.data, {.batch = 2, .workers = 0, .drop_last = true}).batches_per_epoch() == 2);
  CHECK(Loader(pictures.data, {.batch = 5, .workers = 0, .drop_last = true}).batches_per_epoch() == 1);
  const Stream stream = take(pictures.data, {.batch = 8, .workers = 0, .drop_last = true}, 2);
  CHECK(stream.samples == std::vector<std::vector<int>>{{0, 1, 2, 3, 4}, {0, 1, 2, 3, 4}});
}

TEST_CASE("loader: a shuffled epoch has every image once, and every epoch has a different order") {
  const Pictures pictures(12);
  const Stream stream = take(pictures.data, {.batch = 12, .seed = 3, .shuffle = true, .workers = 0}, 3);
  const Stream other = take(pictures.data, {.batch = 12, .seed = 4, .shuffle = true, .workers = 0}, 1);
  for (const std::vector<int>& order : stream.samples)
    CHECK(std::set<int>(order.begin(), order.end()).size() == 12);
  CHECK(stream.samples[0] != stream.samples[1]);
  CHECK(stream.samples[1] != stream.samples[2]);
  CHECK(stream.samples[0] != other.samples[0]);
}

TEST_CASE("loader: each flip happens about half of the time, independently") {
  const Pictures pictures(8);
  const LoaderOptions options{
      .batch = 8, .seed = 5, .augment = {.flip_horizontal = true, .flip_vertical = true}, .workers = 0};
  int horizontal = 0, vertical = 0, both = 0;
  const int epochs = 50, images = 8 * epochs;
  Loader loader(pictures.data, options);
  for (int i = 0; i < epochs; ++i)
    for (const LoadedImage& image : loader.next().images) {
      const Box before = pictures.data.samples[static_cast<size_t>(image.sample)].objects[0].box,
                now = image.objects[0].box;
      const bool h = now.x1 != before.x1, v = now.y1 != before.y1;
      horizontal += h ? 1 : 0;
      vertical += v ? 1 : 0;
      both += h && v ? 1 : 0;
    }
  CHECK(std::abs(horizontal - images / 2) < 40);  // four standard deviations
  CHECK(std::abs(vertical - images / 2) < 40);
  CHECK(std::abs(both - images / 4) < 35);
}

TEST_CASE("loader: the stream does not depend on the number of workers or the cache") {
  const Pictures pictures(11);
  const Stream expected = take(pictures.data, training_options(0), 14);
  for (const int workers : {1, 2, 5}) {
    INFO(workers);
    CHECK(take(pictures.data, training_options(workers), 14) == expected);
  }
  LoaderOptions small = training_options(2);
  small.cache_bytes = 3 * 9 * 7 * 3 + 1;
  CHECK(take(pictures.data, small, 14) == expected);
  small.cache_bytes = 0;
  CHECK(take(pictures.data, small, 14) == expected);
}

TEST_CASE("loader: a stream can start at any batch") {
  const Pictures pictures(11);
  const Stream whole = take(pictures.data, training_options(2), 12);
  for (const int first : {1, 2, 7}) {
    const Stream rest = take(pictures.data, training_options(2), 12 - first, first);
    CHECK(rest.indices == std::vector<int64_t>(whole.indices.begin() + first, whole.indices.end()));
    CHECK(rest.epochs == std::vector<int>(whole.epochs.begin() + first, whole.epochs.end()));
    CHECK(rest.samples == std::vector<std::vector<int>>(whole.samples.begin() + first, whole.samples.end()));
    CHECK(rest.pixels ==
          std::vector<std::vector<uint8_t>>(whole.pixels.begin() + 4 * first, whole.pixels.end()));
    CHECK(rest.scales == std::vector<float>(whole.scales.begin() + 4 * first, whole.scales.end()));
  }
}

TEST_CASE("loader: the shares of several processes make up the stream, and so do their faults") {
  const Pictures pictures(11);
  for (const int bad : {3, 8}) pictures.spoil(bad);
  constexpr int kSteps = 3, kBatches = 6, kFirst = 2;  // batches per step; step to begin with
  for (const int workers : {0, 2}) {
    Loader whole(pictures.data, training_options(workers), kFirst * kBatches);
    const Stream expected = take(whole, kSteps * kBatches);
    for (const int ranks : {2, 3, 5}) {
      std::vector<std::vector<int>> samples(kSteps * kBatches);
      run_ranks(ranks, [&](World& world) {
        LoaderOptions options = training_options(workers);
        options.share = world.share(kBatches);
        Loader loader(pictures.data, options, kFirst * kBatches);
        const Stream part = take(loader, kSteps * static_cast<int>(options.share.count()));
        for (size_t i = 0; i < part.samples.size(); ++i)
          samples.at(static_cast<size_t>(part.indices[i] - kFirst * kBatches)) = part.samples[i];
        std::vector<std::string> faults;
        for (const Fault& fault : loader.faults_of(world)) faults.push_back(fault.what);
        CHECK(faults == expected.faults);
        CHECK(faults.size() == 2);
      });
      CHECK(samples == expected.samples);
    }
  }
}

TEST_CASE("loader: decoded images are kept, up to the limit") {
  const Pictures pictures(4);
  const size_t image_bytes = 9 * 7 * 3;
  Loader loader(pictures.data, {.batch = 4, .workers = 0, .cache_bytes = 2 * image_bytes});
  take(loader, 1);
  for (int i = 0; i < 4; ++i) pictures.spoil(i);
  const Stream second = take(loader, 1);
  CHECK(second.samples == std::vector<std::vector<int>>{{0, 1}});
  CHECK(second.faults.size() == 2);
}

TEST_CASE("loader: an image that cannot be decoded is left out and reported once") {
  const Pictures pictures(6);
  pictures.spoil(1);
  std::filesystem::remove(pictures.data.samples[4].image);
  Loader loader(pictures.data, {.batch = 3, .workers = 0});
  const Stream stream = take(loader, 4);
  CHECK(stream.samples == std::vector<std::vector<int>>{{0, 2}, {3, 5}, {0, 2}, {3, 5}});
  REQUIRE(loader.faults().size() == 2);
  CHECK(loader.faults()[0].file == pictures.data.samples[1].image);
  CHECK(contains(loader.faults()[0].what, "p01.png is not a JPEG"));
  CHECK(contains(loader.faults()[1].what, "p04.png does not exist"));
}

TEST_CASE("loader: a batch that would be empty takes the next image, whatever the number of workers") {
  const Pictures pictures(7);
  for (const int bad : {0, 1, 2, 6}) pictures.spoil(bad);
  const Stream plain = take(pictures.data, {.batch = 2, .workers = 0}, 4);
  CHECK(plain.samples == std::vector<std::vector<int>>{{3}, {3}, {4, 5}, {3}});
  const Stream expected = take(pictures.data, training_options(0), 9);
  CHECK(expected.faults.size() == 4);
  for (const int workers : {1, 2, 5}) CHECK(take(pictures.data, training_options(workers), 9) == expected);
}

TEST_CASE("loader: faults are reported only when their batch is handed out") {
  const Pictures pictures(6);
  pictures.spoil(5);
  Loader loader(pictures.data, {.batch = 2, .workers = 3});
  take(loader, 2);
  CHECK(loader.faults().empty());
  take(loader, 1);
  CHECK(loader.faults().size() == 1);
}

TEST_CASE("loader: if no image can be loaded, next() throws InputError, not a thread") {
  const Pictures pictures(3);
  for (int i = 0; i < 3; ++i) pictures.spoil(i);
  for (const int workers : {0, 2}) {
    Loader loader(pictures.data, {.batch = 2, .workers = workers});
    CHECK(contains(input_error([&] { loader.next(); }), "None of the 3 images"));
  }
  CHECK(contains(input_error([] { Loader(Dataset{}, {}); }), "no image"));
}

TEST_CASE("loader: options out of range") {
  const Pictures pictures(1);
  CHECK(contains(input_error([&] { Loader(pictures.data, {.batch = 0}); }), "batch = 0"));
  CHECK(contains(input_error([&] { Loader(pictures.data, {.workers = -1}); }), "workers = -1"));
  CHECK(contains(input_error([&] { Loader(pictures.data, {.augment = {.crop = 1.5f}}); }), "crop = 1.5"));
  CHECK(contains(input_error([&] { Loader(pictures.data, {.augment = {.mosaic = NAN}}); }), "mosaic = nan"));
  CHECK_THROWS_AS(Loader(pictures.data, {}, -1), Error);
  CHECK_THROWS_AS(Loader(pictures.data, {.share = {0, 2, 4}}, 6), Error);
}

TEST_CASE("loader: it can be destroyed at any point of the stream") {
  const Pictures pictures(9);
  for (int taken = 0; taken < 6; ++taken) {
    Loader loader(pictures.data, training_options(3));
    take(loader, taken);
  }
}

TEST_CASE("loader: the keys of flips do not depend on other augmentations") {
  const Pictures pictures(6);
  const LoaderOptions options{
      .batch = 6, .seed = 77, .augment = {.flip_horizontal = true, .flip_vertical = true}, .workers = 0};
  Loader loader(pictures.data, options);
  for (uint32_t epoch = 0; epoch < 8; ++epoch)
    for (const LoadedImage& image : loader.next().images) {
      const auto number = static_cast<uint32_t>(image.sample);
      const bool h = philox(77, Purpose::augment, epoch, number, 0) >= 1u << 31,
                 v = philox(77, Purpose::augment, epoch, number, 1) >= 1u << 31;
      const Image before = random_image(9, 7, number);
      CHECK(std::equal(image.image.pixel(0, 0), image.image.pixel(0, 0) + 3,
                       before.pixel(h ? 8 : 0, v ? 6 : 0)));
    }
}

TEST_CASE("loader: groups by aspect") {
  Pictures pictures(23);
  for (size_t i = 0; i < 23; i += 3)
    std::swap(pictures.data.samples[i].width, pictures.data.samples[i].height);
  const auto is_tall = [](int sample) { return sample % 3 == 0; };  // 8 of them; 15 wide ones
  LoaderOptions options{.batch = 4, .seed = 5, .shuffle = true, .group_by_aspect = true, .workers = 0};
  const Stream stream = take(pictures.data, options, 60);
  std::set<int> left_out;
  for (size_t epoch = 0; epoch < 10; ++epoch) {
    std::set<int> seen;
    size_t count = 0, mixed = 0;
    for (size_t i = 6 * epoch; i < 6 * (epoch + 1); ++i) {
      const std::vector<int>& batch = stream.samples[i];
      seen.insert(batch.begin(), batch.end());
      count += batch.size();
      const auto tall = std::count_if(batch.begin(), batch.end(), is_tall);
      mixed += tall != 0 && tall != static_cast<int64_t>(batch.size()) ? 1 : 0;
      CHECK(batch.size() == (i % 6 == 5 ? 3 : 4));
    }
    CHECK(count == 23);
    CHECK(seen.size() == 23);
    CHECK(mixed == 0);  // 2 batches of tall images, 3 of wide ones, and 3 wide ones left over
  }
  CHECK(stream.samples[0] != stream.samples[6]);
  CHECK(take(pictures.data, options, 25, 9).samples ==
        std::vector<std::vector<int>>(stream.samples.begin() + 9, stream.samples.begin() + 34));

  options.batch = 7;  // one image of each kind is left over and dropped
  options.drop_last = true;
  CHECK(Loader(pictures.data, options).batches_per_epoch() == 3);
  for (const std::vector<int>& batch : take(pictures.data, options, 30).samples) {
    CHECK(batch.size() == 7);
    const auto tall = std::count_if(batch.begin(), batch.end(), is_tall);
    CHECK((tall == 0 || tall == 7));
  }
  options.batch = 3;  // 2 tall images are left over and form the last batch
  options.drop_last = false;
  const Stream threes = take(pictures.data, options, 8);
  CHECK(threes.samples.back().size() == 2);

  options.batch = 9;  // 8 tall and 6 wide images are left over: a mixed batch of 9 and one of 5
  for (const int first : {0, 3, 6, 9, 12}) {
    const Stream nines = take(pictures.data, options, 3, first);
    CHECK(nines.samples[1].size() == 9);
    REQUIRE(nines.samples[2].size() == 5);
    left_out.insert(is_tall(nines.samples[2][0]) ? 1 : 0);
  }
  CHECK(left_out.size() == 2);

  options.shuffle = false;  // the order is then kept
  options.batch = 4;
  CHECK(take(pictures.data, options, 1).samples[0] == std::vector<int>{0, 1, 2, 3});
}

TEST_CASE("loader: groups by aspect: the batches of a step have one orientation, across epochs too") {
  constexpr int kImages = 47, kBatch = 2, kStep = 5, kBatches = kImages / kBatch;  // 23, no multiple of 5
  Pictures pictures(kImages);
  for (size_t i = 0; i < kImages; i += 3)
    std::swap(pictures.data.samples[i].width, pictures.data.samples[i].height);
  const auto is_tall = [](int sample) { return sample % 3 == 0; };  // 16 of them; 31 wide ones
  LoaderOptions options{
      .batch = kBatch, .seed = 5, .shuffle = true, .group_by_aspect = true, .workers = 0, .drop_last = true};
  const auto batches_of_one = take(pictures.data, options, 10 * kBatches).samples;
  options.step = kStep;
  const auto all = take(pictures.data, options, 10 * kBatches).samples;
  CHECK(all != batches_of_one);
  for (int epoch = 0; epoch < 10; ++epoch) {
    CAPTURE(epoch);
    std::multiset<int> seen;
    for (int i = epoch * kBatches; i < (epoch + 1) * kBatches; ++i)
      seen.insert(all[static_cast<size_t>(i)].begin(), all[static_cast<size_t>(i)].end());
    CHECK(seen.size() == kImages - 1);
    CHECK(std::set<int>(seen.begin(), seen.end()).size() == kImages - 1);
    // Of 16 tall and 31 wide images there are one and three groups of ten.
    int whole = 0, pure = 0;
    for (int begin = (epoch * kBatches + kStep - 1) / kStep * kStep; begin + kStep <= (epoch + 1) * kBatches;
         begin += kStep) {
      int64_t tall = 0;
      for (int i = begin; i < begin + kStep; ++i)
        tall +=
            std::count_if(all[static_cast<size_t>(i)].begin(), all[static_cast<size_t>(i)].end(), is_tall);
      ++whole;
      pure += tall == 0 || tall == kBatch * kStep ? 1 : 0;
    }
    CHECK(whole >= 3);
    CHECK(pure == whole);
  }
  CHECK(take(pictures.data, options, 50, 15).samples ==
        std::vector<std::vector<int>>(all.begin() + 15, all.begin() + 65));
  options.step = 1;  // the order of a step of one batch, which the test above describes
  CHECK(take(pictures.data, options, 10 * kBatches).samples == batches_of_one);
}

TEST_CASE("loader: the first images are those that training sees first") {
  const Pictures pictures(11);
  pictures.spoil(4);
  const Stream stream = take(pictures.data, training_options(2), 2);
  const std::vector<LoadedImage> images = first_images(pictures.data, training_options(2), 7);
  const size_t count = std::min<size_t>(7, stream.pixels.size());
  REQUIRE(images.size() == count);
  for (size_t i = 0; i < count; ++i) {
    CHECK(images[i].image.rgb == stream.pixels[i]);
    CHECK(images[i].scale == stream.scales[i]);
  }
  CHECK(first_images(pictures.data, {.batch = 4}, 100).size() == 10);
  CHECK(first_images(pictures.data, {.batch = 4}, 0).empty());
  CHECK(first_images(pictures.data, {.batch = 4}, 3).size() == 3);
}
