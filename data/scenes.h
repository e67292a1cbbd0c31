// Synthetic scenes with exact boxes: data to learn on without downloading anything, and to test with.
//
// A scene shows up to eight shapes of six kinds, rotated, textured, lit and partly hidden by one another, on
// a cluttered background. Colour and texture do not depend on the kind, so a detector must learn the form.
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
  float max_hidden = 0.6f;              // a shape is left out if other shapes or the frame hide more of it
};

struct Scene {
  Image image;
  std::vector<Object> objects;
};

/// The names of the six kinds of shape: label l is element l - 1.
const std::vector<std::string>& scene_classes();

/// Scene number `index` of the stream `seed`. Boxes are at whole pixels, tight around the whole shape even if
/// other shapes hide a part of it, and clipped to the image.
Scene make_scene(uint64_t seed, uint32_t index, const SceneOptions& options = {});

/// The stream of the scenes of a split. It differs for every (seed, split), so that `train` and `test`
/// written with the same seed share no scene.
uint64_t scene_stream(uint64_t seed, const std::string& split);

/// Writes `count` scenes as a Pascal VOC folder: JPEGImages/<split>_00000.png and so on, Annotations, and
/// ImageSets/Main/<split>.txt. Several splits can go into one folder. Throws InputError for an invalid
/// option, and Error if a file cannot be written.
void write_scenes(const std::filesystem::path& folder, uint32_t count, uint64_t seed,
                  const std::string& split, const SceneOptions& options = {});

/// The files in the folder that `write_scenes` would replace.
std::vector<std::filesystem::path> existing_scene_files(const std::filesystem::path& folder, uint32_t count,
                                                        const std::string& split);

/// Whether the file is the list of a split as `write_scenes` writes it: <split>_00000, <split>_00001 and so
/// on.
bool is_scene_list(const std::filesystem::path& file);

}  // namespace rcnn
