#include "models/transform.h"

#include <algorithm>
#include <cmath>

#include "core/cuda/device.h"
#include "kernels/spatial/preprocess.h"

namespace rcnn {
namespace {

void copy_three(std::string_view key, const Levels& setting, float* to) {
  check_input(setting.size() == 1 && setting[0].size() == 3,
              "{}: expected one list of three numbers, one a channel, found {}", key, format_value(setting));
  std::copy(setting[0].begin(), setting[0].end(), to);
}

}  // namespace

ResizedImage resized(const ModelConfig& config, int64_t height, int64_t width, float scale) {
  const auto scaled = [&](int64_t side) {
    return std::max<int64_t>(1, std::llround(static_cast<double>(side) * static_cast<double>(scale)));
  };
  const bool nearest = config.size_rounding == "nearest";
  const kernels::Resized size =
      kernels::resized_size(height, width, scaled(config.short_side), scaled(config.long_side),
                            nearest ? kernels::SizeRounding::caffe2015 : kernels::SizeRounding::torchvision);
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
  std::vector<kernels::PreprocessImage> slots;
  std::vector<Tensor> uploaded;  // until the op has read them
  ImageBatch batch;
  batch.size = Tensor::empty({n, 2}, DType::f32);
  batch.scale = Tensor::empty({n}, DType::f32);
  float *size = batch.size.mutable_data<float>(), *scale = batch.scale.mutable_data<float>();
  int64_t height = 0, width = 0;
  for (const RawImage& image : images) {
    const ResizedImage now = resized(config, image.height, image.width, image.scale);
    const uint8_t* pixels = image.pixels;
    if (ctx.device.type == DeviceType::cuda) {
      uploaded.push_back(ctx.empty({image.height, image.width, 3}, DType::u8));
      cuda::upload(ctx.device, uploaded.back().mutable_raw(), pixels, uploaded.back().bytes());
      pixels = uploaded.back().data<uint8_t>();
    }
    slots.push_back({pixels, image.height, image.width, now.height, now.width});
    *size++ = static_cast<float>(now.height);
    *size++ = static_cast<float>(now.width);
    *scale++ = now.sy;
    height = std::max(height, now.height);
    width = std::max(width, now.width);
  }
  const auto padded = [&](int64_t side) {
    return (side + config.size_divisible - 1) / config.size_divisible * config.size_divisible;
  };
  batch.pixels = ctx.empty({n, padded(height), padded(width), 3});
  const Tensor list = bytes_of(std::span<const kernels::PreprocessImage>(slots)).to(ctx.device);
  kernels::PreprocessArgs args{.n = n,
                               .images = static_cast<const kernels::PreprocessImage*>(list.raw()),
                               .height = padded(height),
                               .width = padded(width),
                               .mean = {},
                               .deviation = {},
                               .range = config.pixel_range / 255,
                               .bgr = config.channel_order == "bgr",
                               .y = batch.pixels.mutable_data<float>()};
  copy_three("image-mean", config.image_mean, args.mean);
  copy_three("image-std", config.image_std, args.deviation);
  kernels::run(ctx, kernels::preprocess, args);
  batch.size = batch.size.to(ctx.device);
  batch.scale = batch.scale.to(ctx.device);
  return batch;
}

}  // namespace rcnn
