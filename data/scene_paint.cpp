#include "data/scene_paint.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <span>

namespace rcnn {
namespace {

constexpr float kPi = std::numbers::pi_v<float>;

struct Point {
  float x, y;
};

float smooth_step(float from, float to, float value) {
  const float t = std::clamp((value - from) / (to - from), 0.0f, 1.0f);
  return t * t * (3 - 2 * t);
}

Point rotate(Point p, float angle) {
  const float c = std::cos(angle), s = std::sin(angle);
  return {c * p.x - s * p.y, s * p.x + c * p.y};
}

float distance_to_segment(Point p, Point a, Point b) {
  const Point ab{b.x - a.x, b.y - a.y}, ap{p.x - a.x, p.y - a.y};
  const float length2 = ab.x * ab.x + ab.y * ab.y;
  const float t = length2 > 0 ? std::clamp((ap.x * ab.x + ap.y * ab.y) / length2, 0.0f, 1.0f) : 0.0f;
  return std::hypot(ap.x - t * ab.x, ap.y - t * ab.y);
}

/// The distance to the nearest edge. The parity of the edges that a ray to the right crosses gives the sign.
float distance_to_polygon(Point p, std::span<const Point> corners) {
  float nearest = 1e9f;
  bool inside = false;
  Point a = corners.back();
  for (const Point b : corners) {
    nearest = std::min(nearest, distance_to_segment(p, a, b));
    if ((a.y > p.y) != (b.y > p.y) && p.x < a.x + (p.y - a.y) / (b.y - a.y) * (b.x - a.x)) inside = !inside;
    a = b;
  }
  return inside ? -nearest : nearest;
}

std::vector<Point> regular_corners(int count, float outer, float inner) {
  std::vector<Point> corners;
  for (int i = 0; i < count; ++i) {
    const float angle = 2 * kPi * static_cast<float>(i) / static_cast<float>(count),
                r = i % 2 == 0 ? outer : inner;
    corners.push_back({r * std::sin(angle), -r * std::cos(angle)});
  }
  return corners;
}

std::vector<Point> cross_corners(float arm, float half) {
  return {{-half, -arm}, {half, -arm}, {half, -half}, {arm, -half}, {arm, half},   {half, half},
          {half, arm},   {-half, arm}, {-half, half}, {-arm, half}, {-arm, -half}, {-half, -half}};
}

/// The distance to the outline of a kind whose surrounding circle has radius 1. Corners are slightly rounded.
float unit_distance(ShapeKind kind, Point p) {
  static const std::vector<Point> square = regular_corners(4, 0.92f, 0.92f);
  static const std::vector<Point> triangle = regular_corners(3, 0.92f, 0.92f);
  static const std::vector<Point> star = regular_corners(10, 0.96f, 0.42f);
  static const std::vector<Point> cross = cross_corners(0.88f, 0.24f);
  switch (kind) {
    case ShapeKind::disc:
      return std::hypot(p.x, p.y) - 0.94f;
    case ShapeKind::ring:
      return std::abs(std::hypot(p.x, p.y) - 0.73f) - 0.22f;
    case ShapeKind::square:
      return distance_to_polygon(p, square) - 0.05f;
    case ShapeKind::triangle:
      return distance_to_polygon(p, triangle) - 0.05f;
    case ShapeKind::star:
      return distance_to_polygon(p, star) - 0.03f;
    case ShapeKind::cross:
      return distance_to_polygon(p, cross) - 0.05f;
  }
  return 0;
}

/// Smooth noise in [0, 1]: random values on a lattice of `cell` pixels, interpolated.
class ValueNoise {
 public:
  ValueNoise(int width, int height, float cell, RandomSequence& random)
      : cell_(cell), columns_(static_cast<int>(static_cast<float>(width) / cell) + 2) {
    const int rows = static_cast<int>(static_cast<float>(height) / cell) + 2;
    values_.resize(static_cast<size_t>(columns_) * static_cast<size_t>(rows));
    for (float& value : values_) value = random.uniform();
  }

  float at(int x, int y) const {
    const float u = static_cast<float>(x) / cell_, v = static_cast<float>(y) / cell_;
    const int i = static_cast<int>(u), j = static_cast<int>(v);
    const float s = smooth_step(0, 1, u - static_cast<float>(i)),
                t = smooth_step(0, 1, v - static_cast<float>(j));
    const float top = lattice(i, j) * (1 - s) + lattice(i + 1, j) * s;
    const float bottom = lattice(i, j + 1) * (1 - s) + lattice(i + 1, j + 1) * s;
    return top * (1 - t) + bottom * t;
  }

 private:
  float lattice(int i, int j) const {
    return values_[static_cast<size_t>(j) * static_cast<size_t>(columns_) + static_cast<size_t>(i)];
  }

  float cell_;
  int columns_;
  std::vector<float> values_;
};

/// Calls paint(pixel, x, y), with the pixel's centre, for every pixel of the canvas within `reach` of (x, y).
template <class Paint>
void for_pixels_near(Canvas& canvas, float x, float y, float reach, const Paint& paint) {
  const int x0 = std::max(static_cast<int>(std::floor(x - reach)), 0);
  const int y0 = std::max(static_cast<int>(std::floor(y - reach)), 0);
  const int x1 = std::min(static_cast<int>(std::ceil(x + reach)), canvas.width);
  const int y1 = std::min(static_cast<int>(std::ceil(y + reach)), canvas.height);
  for (int row = y0; row < y1; ++row)
    for (int column = x0; column < x1; ++column)
      paint(canvas.at(column, row), static_cast<float>(column) + 0.5f, static_cast<float>(row) + 0.5f);
}

void paint_line(Canvas& canvas, Point a, Point b, float width, const Rgb& colour, float opacity) {
  const Point middle{(a.x + b.x) / 2, (a.y + b.y) / 2};
  const float reach = std::hypot(a.x - b.x, a.y - b.y) / 2 + width + 1;
  for_pixels_near(canvas, middle.x, middle.y, reach, [&](Rgb& pixel, float x, float y) {
    const float coverage = std::clamp(width / 2 + 0.5f - distance_to_segment({x, y}, a, b), 0.0f, 1.0f);
    if (coverage > 0) pixel = mix(pixel, colour, coverage * opacity);
  });
}

Rgb muted_colour(RandomSequence& random) {
  const float hue = random.uniform();
  const float saturation = random.uniform(0.08f, 0.45f);
  return hsv(hue, saturation, random.uniform(0.25f, 0.85f));
}

Point point_on(const Canvas& canvas, RandomSequence& random) {
  const float x = random.uniform(0, static_cast<float>(canvas.width));
  return {x, random.uniform(0, static_cast<float>(canvas.height))};
}

void paint_gradient(Canvas& canvas, const Rgb& from, const Rgb& to, float angle) {
  const float dx = std::cos(angle), dy = std::sin(angle);
  const auto w = static_cast<float>(canvas.width), h = static_cast<float>(canvas.height);
  const float span = std::abs(dx) * w + std::abs(dy) * h;
  for (int y = 0; y < canvas.height; ++y)
    for (int x = 0; x < canvas.width; ++x) {
      const float along = (static_cast<float>(x) - w / 2) * dx + (static_cast<float>(y) - h / 2) * dy;
      canvas.at(x, y) = mix(from, to, std::clamp(along / span + 0.5f, 0.0f, 1.0f));
    }
}

/// Blends the canvas towards another colour by three octaves of noise.
void paint_clouds(Canvas& canvas, const Rgb& colour, float strength, RandomSequence& random) {
  const float cell = random.uniform(24, 80);
  const ValueNoise coarse(canvas.width, canvas.height, cell, random);
  const ValueNoise middle(canvas.width, canvas.height, cell / 2.3f, random);
  const ValueNoise fine(canvas.width, canvas.height, cell / 6, random);
  for (int y = 0; y < canvas.height; ++y)
    for (int x = 0; x < canvas.width; ++x) {
      const float noise = 0.55f * coarse.at(x, y) + 0.3f * middle.at(x, y) + 0.15f * fine.at(x, y);
      Rgb& pixel = canvas.at(x, y);
      pixel = mix(pixel, colour, strength * smooth_step(0.3f, 0.7f, noise));
    }
}

/// Paints faint parallel bands, like those of wood, cloth or wallpaper.
void paint_bands(Canvas& canvas, const Rgb& colour, float strength, RandomSequence& random) {
  const float angle = random.uniform(0, kPi), period = random.uniform(6, 40);
  const float wobble = random.uniform(0, 1.5f);
  const ValueNoise noise(canvas.width, canvas.height, random.uniform(30, 90), random);
  const float dx = std::cos(angle) * 2 * kPi / period, dy = std::sin(angle) * 2 * kPi / period;
  for (int y = 0; y < canvas.height; ++y)
    for (int x = 0; x < canvas.width; ++x) {
      const float phase =
          static_cast<float>(x) * dx + static_cast<float>(y) * dy + wobble * 6 * noise.at(x, y);
      Rgb& pixel = canvas.at(x, y);
      pixel = mix(pixel, colour, strength * (0.5f + 0.5f * std::sin(phase)));
    }
}

void paint_blob(Canvas& canvas, RandomSequence& random) {
  const Point centre = point_on(canvas, random);
  const float radius = random.uniform(15, 60), squeeze = random.uniform(0.4f, 1),
              angle = random.uniform(0, kPi);
  const float opacity = random.uniform(0.15f, 0.5f);
  const Rgb colour = muted_colour(random);
  for_pixels_near(canvas, centre.x, centre.y, radius, [&](Rgb& pixel, float x, float y) {
    const Point p = rotate({x - centre.x, y - centre.y}, angle);
    pixel = mix(pixel, colour, opacity * smooth_step(1, 0.2f, std::hypot(p.x, p.y / squeeze) / radius));
  });
}

void paint_scribble(Canvas& canvas, RandomSequence& random) {
  Point at = point_on(canvas, random);
  float heading = random.uniform(0, 2 * kPi);
  const float turn = random.uniform(0.2f, 1.3f), step = random.uniform(4, 12),
              width = random.uniform(0.8f, 2.2f);
  const float opacity = random.uniform(0.3f, 0.8f);
  const Rgb colour = muted_colour(random);
  for (uint32_t left = 4 + random.below(14); left > 0; --left) {
    heading += random.uniform(-turn, turn);
    const Point to{at.x + step * std::cos(heading), at.y + step * std::sin(heading)};
    paint_line(canvas, at, to, width, colour, opacity);
    at = to;
  }
}

/// The share of the second colour (0 to 1) in the texture at a point of the shape, in units of its radius.
float texture_share(const SceneShape& shape, Point p) {
  const float softness = 1.2f / (shape.radius * shape.texture_scale);  // about a pixel, in periods
  const Point q = rotate({p.x / shape.texture_scale, p.y / shape.texture_scale}, shape.texture_angle);
  const auto wave = [&](float at) {
    return smooth_step(-softness * kPi, softness * kPi, std::sin(2 * kPi * at));
  };
  switch (shape.texture) {
    case Texture::plain:
      return 0;
    case Texture::stripes:
      return wave(q.x);
    case Texture::checks: {
      const float a = wave(q.x), b = wave(q.y);
      return a + b - 2 * a * b;
    }
    case Texture::dots: {
      const float u = q.x - std::floor(q.x) - 0.5f, v = q.y - std::floor(q.y) - 0.5f;
      return smooth_step(0.30f + softness / 2, 0.30f - softness / 2, std::hypot(u, v));
    }
    case Texture::speckle: {
      const float a = std::sin(9.1f * q.x + 2 * std::sin(5.3f * q.y)),
                  b = std::sin(8.3f * q.y + 2 * std::sin(6.7f * q.x));
      return 0.5f + 0.5f * a * b;
    }
  }
  return 0;
}

/// Brightness of the surface: a rim turned towards the light is brighter, the body fades away from it.
float shading(const SceneShape& shape, const Light& light, float x, float y, float distance) {
  const float body = ((x - shape.x) * light.x + (y - shape.y) * light.y) / shape.radius;
  const float bevel = std::max(0.22f * shape.radius, 2.0f);
  const float rim = 1 - smooth_step(0, bevel, -distance);
  if (rim == 0) return 1 + 0.20f * body;
  const float dx = signed_distance(shape, x + 0.5f, y) - signed_distance(shape, x - 0.5f, y);
  const float dy = signed_distance(shape, x, y + 0.5f) - signed_distance(shape, x, y - 0.5f);
  return 1 + 0.20f * body + 0.38f * rim * (dx * light.x + dy * light.y);
}

}  // namespace

float signed_distance(const SceneShape& shape, float x, float y) {
  const Point p = rotate({(x - shape.x) / shape.radius, (y - shape.y) / shape.radius}, -shape.angle);
  return unit_distance(shape.kind, p) * shape.radius;
}

Rgb hsv(float hue, float saturation, float value) {
  const auto channel = [&](float offset) {
    const float k = std::fmod(offset + hue * 6, 6.0f);
    return value - value * saturation * std::clamp(std::min(k, 4 - k), 0.0f, 1.0f);
  };
  return {channel(5), channel(3), channel(1)};
}

void paint_background(Canvas& canvas, RandomSequence& random) {
  const Rgb first = muted_colour(random), second = muted_colour(random), third = muted_colour(random);
  const float contrast = random.uniform(0.3f, 1);
  paint_gradient(canvas, first, mix(first, second, contrast), random.uniform(0, 2 * kPi));
  const uint32_t kind = random.below(3);
  if (kind == 0) paint_clouds(canvas, third, random.uniform(0.3f, 0.8f), random);
  if (kind == 1) paint_bands(canvas, third, random.uniform(0.1f, 0.35f), random);
  for (uint32_t left = random.below(6); left > 0; --left) paint_blob(canvas, random);
  for (uint32_t left = random.below(5); left > 0; --left) {
    const Point from = point_on(canvas, random), to = point_on(canvas, random);
    const float width = random.uniform(0.8f, 3), opacity = random.uniform(0.3f, 0.9f);
    paint_line(canvas, from, to, width, muted_colour(random), opacity);
  }
  for (uint32_t left = random.below(6); left > 0; --left) paint_scribble(canvas, random);
}

void paint_shape(Canvas& canvas, const SceneShape& shape, const Light& light) {
  const float drop = 0.12f * shape.radius + 1, blur = 0.12f * shape.radius + 1.5f;
  const float shadow_x = -drop * light.x, shadow_y = -drop * light.y;
  for_pixels_near(canvas, shape.x, shape.y, shape.radius + drop + blur, [&](Rgb& pixel, float x, float y) {
    const float distance = signed_distance(shape, x - shadow_x, y - shadow_y);
    pixel = mix(pixel, {}, light.shadow * smooth_step(blur, -blur, distance));
  });
  for_pixels_near(canvas, shape.x, shape.y, shape.radius + 1, [&](Rgb& pixel, float x, float y) {
    const float distance = signed_distance(shape, x, y);
    const float coverage = std::clamp(0.5f - distance, 0.0f, 1.0f);
    if (coverage == 0) return;
    const Point place = rotate({(x - shape.x) / shape.radius, (y - shape.y) / shape.radius}, -shape.angle);
    const Rgb surface = mix(shape.colour, shape.second_colour, texture_share(shape, place));
    const float bright = shading(shape, light, x, y, distance);
    pixel = mix(pixel, {surface.r * bright, surface.g * bright, surface.b * bright}, coverage);
  });
}

Image develop(const Canvas& canvas, RandomSequence& random) {
  Image image(canvas.width, canvas.height);
  const float grain = random.uniform(0.005f, 0.03f), vignette = random.uniform(0, 0.3f);
  const auto w = static_cast<float>(canvas.width), h = static_cast<float>(canvas.height);
  for (int y = 0; y < canvas.height; ++y)
    for (int x = 0; x < canvas.width; ++x) {
      const float u = 2 * static_cast<float>(x) / w - 1, v = 2 * static_cast<float>(y) / h - 1;
      const float gain = 1 - vignette * 0.5f * (u * u + v * v);
      const Rgb& colour =
          canvas.pixels[static_cast<size_t>(y) * static_cast<size_t>(canvas.width) + static_cast<size_t>(x)];
      const float noise = grain * (random.uniform(-1, 1) + random.uniform(-1, 1));
      const auto to_byte = [&](float value) {
        return static_cast<uint8_t>(std::clamp(value * gain + noise, 0.0f, 1.0f) * 255 + 0.5f);
      };
      uint8_t* pixel = image.pixel(x, y);
      pixel[0] = to_byte(colour.r);
      pixel[1] = to_byte(colour.g);
      pixel[2] = to_byte(colour.b);
    }
  return image;
}

}  // namespace rcnn
