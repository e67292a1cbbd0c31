#include "models/transform.h"

#include <algorithm>
#include <cmath>

#include "core/op_observer.h"
#include "layers/preprocess.h"

namespace rcnn {
namespace {

std::array<float, 3> three_numbers(std::string_view key, const Levels& setting) {
  check_input(setting.size() == 1 && setting[0].size() == 3,
              "{}: expected one list of three numbers, one per channel, found {}", key,
              format_value(setting));
  return {setting[0][0], setting[0][1], setting[0][2]};
}

/// py-faster-rcnn's sizes: numpy and OpenCV round in double.
ResizedSize nearest_size(int64_t h, int64_t w, int64_t short_side, int64_t long_side) {
  const auto longest = static_cast<double>(std::max(h, w)), limit = static_cast<double>(long_side);
  double scale = static_cast<double>(short_side) / static_cast<double>(std::min(h, w));
  if (std::nearbyint(scale * longest) > limit) scale = limit / longest;
  const auto scaled = [scale](int64_t side) {
    return std::max<int64_t>(1, static_cast<int64_t>(std::nearbyint(static_cast<double>(side) * scale)));
  };
  return {scaled(h), scaled(w), scale};
}

}  // namespace

ResizedSize resized_size(int64_t h, int64_t w, int64_t short_side, int64_t long_side, SizeRounding rounding) {
  if (rounding == SizeRounding::caffe2015) return nearest_size(h, w, short_side, long_side);
  // torch divides a number by a tensor as number * (1 / tensor): 800 / 375 is not 800 * (1 / 375).
  const float scale = std::min(static_cast<float>(short_side) * (1.0f / static_cast<float>(std::min(h, w))),
                               static_cast<float>(long_side) * (1.0f / static_cast<float>(std::max(h, w))));
  const auto scaled = [scale](int64_t side) {
    const double size = std::floor(static_cast<double>(side) * static_cast<double>(scale));
    return std::max<int64_t>(1, static_cast<int64_t>(size));
  };
  return {scaled(h), scaled(w), static_cast<double>(scale)};
}

ResizedImage resized(const ModelConfig& config, int64_t height, int64_t width, float scale) {
  const auto scaled = [&](int64_t side) {
    return std::max<int64_t>(1, std::llround(static_cast<double>(side) * static_cast<double>(scale)));
  };
  const bool nearest = config.size_rounding == "nearest";
  const ResizedSize size = resized_size(height, width, scaled(config.short_side), scaled(config.long_side),
                                        nearest ? SizeRounding::caffe2015 : SizeRounding::torchvision);
  ResizedImage image{size.h, size.w, 0, 0, 0, 0, config.whole_pixels ? 1.0f : 0.0f};
  if (nearest) {
    image.sy = image.sx = static_cast<float>(size.scale);
    image.back_y = image.back_x = static_cast<float>(1 / size.scale);
  } else {
    image.sy = static_cast<float>(size.h) / static_cast<float>(height);
    image.sx = static_cast<float>(size.w) / static_cast<float>(width);
    image.back_y = static_cast<float>(height) / static_cast<float>(size.h);
    image.back_x = static_cast<float>(width) / static_cast<float>(size.w);
  }
  return image;
}

ImageBatch make_image_batch(Context& ctx, const ModelConfig& config, std::span<const RawImage> images) {
  const auto n = static_cast<int64_t>(images.size());
  ImageBatch batch;
  batch.size = Tensor::empty({n, 2}, DType::f32);
  batch.scale = Tensor::empty({n}, DType::f32);
  float *size = batch.size.mutable_data<float>(), *scale = batch.scale.mutable_data<float>();
  std::vector<SourceImage> sources;
  int64_t height = 0, width = 0;  // the largest of all images
  for (const RawImage& image : images) {
    const ResizedImage now = resized(config, image.height, image.width, image.scale);
    sources.push_back({image.pixels, image.height, image.width, now.height, now.width});
    *size++ = static_cast<float>(now.height);
    *size++ = static_cast<float>(now.width);
    *scale++ = now.sy;
    height = std::max(height, now.height);
    width = std::max(width, now.width);
  }
  const auto padded = [&](int64_t side) {
    return (side + config.size_divisible - 1) / config.size_divisible * config.size_divisible;
  };
  const LayerScope layer(ctx, "input");
  batch.pixels = preprocess(ctx, sources, padded(height), padded(width),
                            {.mean = three_numbers("image-mean", config.image_mean),
                             .deviation = three_numbers("image-std", config.image_std),
                             .range = config.pixel_range,
                             .bgr = config.channel_order == "bgr"});
  batch.size = batch.size.to(ctx.device);
  batch.scale = batch.scale.to(ctx.device);
  return batch;
}

}  // namespace rcnn
