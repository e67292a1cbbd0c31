// Synthetic scenes with exact boxes: data to learn on without downloading anything, and to test with.
//
// A scene shows up to eight shapes of six kinds, turned, textured, lit and partly hidden by one another, on a
// cluttered background. Colour and texture say nothing about the kind, so a detector must learn form.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/image.h"

namespace rcnn {

struct SceneOptions {
  int width = 320, height = 240;  // pixels
  int max_objects = 8;
  float min_size = 18, max_size = 110;  // diameter of the circle around a shape, pixels
  float empty_share = 0.05f;            // scenes without any object
  float max_hidden = 0.6f;              // a shape of which later ones or the frame hide more is left out
};

struct Scene {
  Image image;
  std::vector<Object> objects;
};

/// The names of the six kinds of shape: label l is element l - 1.
const std::vector<std::string>& scene_classes();

/// Scene number `index` of the stream `seed`. A box is at whole pixels, tight around the shape as it would
/// look with nothing in front of it, and clipped to the image.
Scene make_scene(uint64_t seed, uint32_t index, const SceneOptions& options = {});

/// The stream that a split's scenes come from: another one for every (seed, split), so that `train` and
/// `test` written with the same seed share no scene.
uint64_t scene_stream(uint64_t seed, const std::string& split);

/// Writes `count` scenes as a Pascal VOC folder: JPEGImages/<split>_00000.png and so on, Annotations, and
/// ImageSets/Main/<split>.txt. Several splits can go into one folder. Throws InputError for an unusable
/// option, Error where a file cannot be written.
void write_scenes(const std::filesystem::path& folder, uint32_t count, uint64_t seed,
                  const std::string& split, const SceneOptions& options = {});

}  // namespace rcnn
