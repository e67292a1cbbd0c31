// The painter of the synthetic scenes: a canvas of floats, shapes given by their signed distance, a
// background.
#pragma once

#include <vector>

#include "core/rng.h"
#include "data/image.h"

namespace rcnn {

struct Rgb {
  float r = 0, g = 0, b = 0;  // 0 to 1
};

inline Rgb mix(const Rgb& a, const Rgb& b, float t) {
  return {a.r + (b.r - a.r) * t, a.g + (b.g - a.g) * t, a.b + (b.b - a.b) * t};
}

struct Canvas {
  int width = 0, height = 0;
  std::vector<Rgb> pixels;

  Canvas(int w, int h) : width(w), height(h), pixels(static_cast<size_t>(w) * static_cast<size_t>(h)) {}
  Rgb& at(int x, int y) {
    return pixels[static_cast<size_t>(y) * static_cast<size_t>(width) + static_cast<size_t>(x)];
  }
};

enum class ShapeKind { disc, square, triangle, star, ring, cross };
inline constexpr int kShapeKinds = 6;

enum class Texture { plain, stripes, checks, dots, speckle };
inline constexpr int kTextures = 5;

/// One object of a scene.
struct SceneShape {
  ShapeKind kind = ShapeKind::disc;
  float x = 0, y = 0;           // centre, pixels
  float radius = 1, angle = 0;  // of the circle around it, pixels; radians
  Texture texture = Texture::plain;
  float texture_scale = 1, texture_angle = 0;  // period as a share of the radius; radians
  Rgb colour, second_colour;
};

/// The light of a scene: the direction towards it in the image plane, and the depth of the shadows (0 to 1).
struct Light {
  float x = 0, y = -1, shadow = 0.3f;
};

/// Distance in pixels from (x, y) to the shape's outline, negative inside.
float signed_distance(const SceneShape& shape, float x, float y);

/// A colour from hue, saturation and value, all 0 to 1.
Rgb hsv(float hue, float saturation, float value);

/// Fills the canvas with a gradient, clouds or a pattern, and clutter that resembles no class: soft blobs,
/// thin lines, scribbles.
void paint_background(Canvas& canvas, RandomSequence& random);

/// Paints a shape with its shadow over what is there.
void paint_shape(Canvas& canvas, const SceneShape& shape, const Light& light);

/// Adds sensor noise and a vignette, and rounds to bytes.
Image develop(const Canvas& canvas, RandomSequence& random);

}  // namespace rcnn
