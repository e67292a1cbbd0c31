#include "data/scenes.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>

#include "core/error.h"
#include "core/files/atomic_file.h"
#include "core/parallel.h"
#include "core/rng.h"
#include "data/files.h"
#include "data/scene_paint.h"
#include "data/voc.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;

constexpr float kPi = std::numbers::pi_v<float>;
constexpr int kPlacements = 12;      // tries to find a place that is not too crowded
constexpr float kMaxOverlap = 0.4f;  // intersection over the smaller circle's square

/// The pixels of a shape inside the image, and the number of all its pixels.
struct Silhouette {
  std::vector<int> pixels;  // y * width + x
  size_t area = 0;
  Box box;
};

Silhouette silhouette_of(const SceneShape& shape, int width, int height) {
  Silhouette result;
  int left = width, top = height, right = 0, bottom = 0;
  for (int y = static_cast<int>(std::floor(shape.y - shape.radius));
       static_cast<float>(y) < shape.y + shape.radius; ++y)
    for (int x = static_cast<int>(std::floor(shape.x - shape.radius));
         static_cast<float>(x) < shape.x + shape.radius; ++x) {
      if (signed_distance(shape, static_cast<float>(x) + 0.5f, static_cast<float>(y) + 0.5f) > 0) continue;
      ++result.area;
      if (x < 0 || y < 0 || x >= width || y >= height) continue;
      result.pixels.push_back(y * width + x);
      left = std::min(left, x);
      top = std::min(top, y);
      right = std::max(right, x + 1);
      bottom = std::max(bottom, y + 1);
    }
  result.box = {static_cast<float>(left), static_cast<float>(top), static_cast<float>(right),
                static_cast<float>(bottom)};
  return result;
}

float overlap_of(const SceneShape& a, const SceneShape& b) {
  const auto shared = [](float p, float r, float q, float s) {
    return std::max(std::min(p + r, q + s) - std::max(p - r, q - s), 0.0f);
  };
  const float smaller = 2 * std::min(a.radius, b.radius);
  return shared(a.x, a.radius, b.x, b.radius) * shared(a.y, a.radius, b.y, b.radius) / (smaller * smaller);
}

float brightness(const Rgb& c) { return 0.30f * c.r + 0.59f * c.g + 0.11f * c.b; }

/// A colour that stands out from the canvas behind it: the first of a few random colours that differs enough,
/// or else the one that differs most.
Rgb colour_against(const Rgb& behind, RandomSequence& random) {
  Rgb best;
  float max_apart = -1;
  for (int attempt = 0; attempt < 8 && max_apart < 0.3f; ++attempt) {
    const float hue = random.uniform();
    const float saturation = random.uniform(0.25f, 0.95f);
    const Rgb colour = hsv(hue, saturation, random.uniform(0.35f, 1));
    const float tint =
        std::abs(colour.r - behind.r) + std::abs(colour.g - behind.g) + std::abs(colour.b - behind.b);
    const float apart = std::min(tint / 2, 2 * std::abs(brightness(colour) - brightness(behind)));
    if (apart > max_apart) best = colour;
    max_apart = std::max(apart, max_apart);
  }
  return best;
}

SceneShape random_shape(Canvas& canvas, const SceneOptions& options, RandomSequence& random) {
  SceneShape shape;
  shape.kind = static_cast<ShapeKind>(random.below(kShapeKinds));
  shape.radius = options.min_size / 2 * std::pow(options.max_size / options.min_size, random.uniform());
  shape.angle = random.uniform(0, 2 * kPi);
  const auto w = static_cast<float>(canvas.width), h = static_cast<float>(canvas.height);
  const float margin = 0.5f * shape.radius;  // the frame may cut a shape, but not through its middle
  shape.x = random.uniform(std::min(margin, w / 2), std::max(w - margin, w / 2));
  shape.y = random.uniform(std::min(margin, h / 2), std::max(h - margin, h / 2));
  shape.texture = static_cast<Texture>(random.below(kTextures));
  shape.texture_scale = std::max(random.uniform(0.25f, 0.7f), 6 / shape.radius);
  shape.texture_angle = random.uniform(0, kPi);
  shape.colour = colour_against(canvas.at(static_cast<int>(shape.x), static_cast<int>(shape.y)), random);
  const float hue = random.uniform();
  const float saturation = random.uniform(0.1f, 0.9f);
  const Rgb other = hsv(hue, saturation, random.uniform(0.3f, 1));
  shape.second_colour = mix(shape.colour, other, random.uniform(0.3f, 0.7f));
  return shape;
}

std::vector<SceneShape> place_shapes(Canvas& canvas, const SceneOptions& options, RandomSequence& random) {
  std::vector<SceneShape> shapes;
  if (options.max_objects == 0 || random.uniform() < options.empty_share) return shapes;
  for (uint32_t left = 1 + random.below(static_cast<uint32_t>(options.max_objects)); left > 0; --left)
    for (int attempt = 0; attempt < kPlacements; ++attempt) {
      const SceneShape shape = random_shape(canvas, options, random);
      const bool crowded = std::any_of(shapes.begin(), shapes.end(), [&](const SceneShape& other) {
        return overlap_of(shape, other) > kMaxOverlap;
      });
      if (crowded) continue;
      shapes.push_back(shape);
      break;
    }
  return shapes;
}

/// Removes the shapes of which too little is visible. It goes from the topmost shape down, so that a removed
/// shape hides nothing.
void keep_visible(std::vector<SceneShape>& shapes, std::vector<Object>& objects,
                  const SceneOptions& options) {
  std::vector<bool> covered(static_cast<size_t>(options.width) * static_cast<size_t>(options.height));
  std::vector<SceneShape> kept;
  for (auto shape = shapes.rbegin(); shape != shapes.rend(); ++shape) {
    const Silhouette silhouette = silhouette_of(*shape, options.width, options.height);
    const auto visible = std::count_if(silhouette.pixels.begin(), silhouette.pixels.end(),
                                       [&](int pixel) { return !covered[static_cast<size_t>(pixel)]; });
    if (static_cast<float>(visible) < (1 - options.max_hidden) * static_cast<float>(silhouette.area))
      continue;
    for (const int pixel : silhouette.pixels) covered[static_cast<size_t>(pixel)] = true;
    kept.push_back(*shape);
    objects.push_back({silhouette.box, static_cast<int>(shape->kind) + 1, false});
  }
  std::reverse(kept.begin(), kept.end());
  std::reverse(objects.begin(), objects.end());
  shapes = std::move(kept);
}

void check_options(const SceneOptions& options) {
  check_input(options.width >= 32 && options.height >= 32 && options.width <= 4096 && options.height <= 4096,
              "Scenes of {} x {} pixels: expected 32 to 4096 per side.", options.width, options.height);
  check_input(options.max_objects >= 0 && options.max_objects <= 100,
              "Scenes with up to {} objects: expected 0 to 100.", options.max_objects);
  check_input(options.min_size >= 8 && options.max_size >= options.min_size && options.max_size <= 4096,
              "Scenes with shapes of {} to {} pixels: expected at least 8, and the larger size last.",
              options.min_size, options.max_size);
  check_input(options.empty_share >= 0 && options.empty_share <= 1 && options.max_hidden >= 0 &&
                  options.max_hidden < 1,
              "Scenes with an empty share of {} and a hidden share of {}: expected shares from 0 to 1.",
              options.empty_share, options.max_hidden);
}

}  // namespace

const std::vector<std::string>& scene_classes() {
  static const std::vector<std::string> names = {"disc", "square", "triangle", "star", "ring", "cross"};
  return names;
}

Scene make_scene(uint64_t seed, uint32_t index, const SceneOptions& options) {
  check_options(options);
  RandomSequence random(seed, Purpose::scene, index);
  Canvas canvas(options.width, options.height);
  paint_background(canvas, random);
  const float towards = random.uniform(-0.85f * kPi, -0.15f * kPi);  // the light comes from above
  const Light light{std::cos(towards), std::sin(towards), random.uniform(0.15f, 0.5f)};

  Scene scene;
  std::vector<SceneShape> shapes = place_shapes(canvas, options, random);
  keep_visible(shapes, scene.objects, options);
  for (const SceneShape& shape : shapes) paint_shape(canvas, shape, light);
  scene.image = develop(canvas, random);
  return scene;
}

uint64_t scene_stream(uint64_t seed, const std::string& split) {
  Philox4 state{{0, 0, 0, 0}};
  for (const char c : split)
    state = philox4x32(seed, state.v[0] ^ static_cast<unsigned char>(c),
                       static_cast<uint32_t>(Purpose::scene), state.v[1], state.v[2]);
  return (uint64_t{state.v[0]} << 32) | state.v[1];
}

namespace {

std::string scene_id(const std::string& split, uint32_t index) {
  return fmt::format("{}_{:05}", split, index);
}

fs::path scene_image(const fs::path& folder, const std::string& id) {
  return folder / "JPEGImages" / (id + ".png");
}
fs::path scene_annotation(const fs::path& folder, const std::string& id) {
  return folder / "Annotations" / (id + ".xml");
}
fs::path scene_list(const fs::path& folder, const std::string& split) {
  return folder / "ImageSets" / "Main" / (split + ".txt");
}

}  // namespace

void write_scenes(const fs::path& folder, uint32_t count, uint64_t seed, const std::string& split,
                  const SceneOptions& options) {
  check_options(options);
  check_input(!split.empty() && split.find_first_of("/\\ \t\r\n") == std::string::npos,
              "'{}' cannot be the name of a split: expected a word without slashes or spaces.", split);
  for (const fs::path& file :
       {scene_image(folder, ""), scene_annotation(folder, ""), scene_list(folder, split)}) {
    const fs::path part = file.parent_path();
    std::error_code failed;
    fs::create_directories(part, failed);
    check(!failed, "{} cannot be created: {}.", part.string(), failed.message());
    remove_left_temporaries(part);
  }
  const uint64_t stream = scene_stream(seed, split);
  parallel_chunks(count, [&](int64_t chunk) {
    const auto index = static_cast<uint32_t>(chunk);
    Scene scene = make_scene(stream, index, options);
    Sample sample;
    sample.id = scene_id(split, index);
    sample.width = scene.image.width;
    sample.height = scene.image.height;
    sample.objects = std::move(scene.objects);
    const fs::path image = scene_image(folder, sample.id);
    write_png(image, scene.image);
    write_voc_annotation(scene_annotation(folder, sample.id), sample, scene_classes(),
                         image.filename().string());
  });
  std::string list;
  for (uint32_t i = 0; i < count; ++i) list += scene_id(split, i) + "\n";
  write_atomically(scene_list(folder, split), list, Sync::no);
}

std::vector<fs::path> existing_scene_files(const fs::path& folder, uint32_t count, const std::string& split) {
  std::vector<fs::path> files;
  std::error_code none;
  if (!fs::exists(folder, none)) return files;
  const auto add = [&](const fs::path& file) {
    if (fs::exists(file, none)) files.push_back(file);
  };
  add(scene_list(folder, split));
  for (uint32_t i = 0; i < count; ++i) {
    add(scene_image(folder, scene_id(split, i)));
    add(scene_annotation(folder, scene_id(split, i)));
  }
  return files;
}

bool is_scene_list(const fs::path& file) {
  if (file.extension() != ".txt") return false;
  uint32_t index = 0;
  for (const std::string& line : read_lines(file))
    if (line != scene_id(file.stem().string(), index++)) return false;
  return true;
}

}  // namespace rcnn
