// The first two chapters: what the network is given, and the maps that its backbone makes of it.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/spatial/preprocess_math.h"
#include "layers/smooth_l1.h"
#include "report/explain_parts.h"
#include "report/html.h"

namespace rcnn {
namespace {

constexpr int kCrop = 24;             // pixels of the enlarged part of the photograph
constexpr size_t kChannelsShown = 3;  // of each level
constexpr int64_t kFieldCrop = 576;   // pixels; larger receptive fields are cut off

/// The network's input as a picture: normalised values back to bytes, padding included.
Image input_picture(const HostMap& pixels, const ModelConfig& config) {
  Image picture(static_cast<int>(pixels.w), static_cast<int>(pixels.h));
  for (size_t i = 0; i < pixels.values.size(); ++i) {
    const size_t k = i % 3;
    const float value =
        (pixels.values[i] * config.image_std[0][k] + config.image_mean[0][k]) / config.pixel_range * 255;
    picture.rgb[config.channel_order == "bgr" ? i - k + 2 - k : i] =
        static_cast<uint8_t>(std::lround(std::clamp(value, 0.0f, 255.0f)));
  }
  return picture;
}

/// One value of the input, followed from the four bytes that it is made of. The result is that of the formula
/// which the network's input was made with.
struct FollowedValue {
  int channel;
  int bytes[4];  // upper left, upper right, lower left, lower right
  float mixed, gain, offset, result, in_tensor;
};

std::vector<FollowedValue> follow_pixel(const Explained& of, const HostMap& pixels, int64_t x, int64_t y) {
  const ModelConfig& config = of.config();
  kernels::PreprocessArgs args{};
  for (size_t k = 0; k < 3; ++k) {
    args.mean[k] = config.image_mean[0][k];
    args.deviation[k] = config.image_std[0][k];
  }
  args.range = config.pixel_range / 255;
  args.bgr = config.channel_order == "bgr";
  const kernels::Channels channels = kernels::channels_of(args);
  kernels::Channels bytes = channels;
  for (auto& normal : bytes.normal) normal = {1, 0};  // the mix of bytes before it is normalised
  const ResizedImage& size = of.to_image.size;
  const kernels::PreprocessImage source{of.image.rgb.data(), of.image.height, of.image.width, size.height,
                                        size.width};
  const auto rows = kernels::source_pair(y, source.h, source.rh),
             columns = kernels::source_pair(x, source.w, source.rw);
  std::vector<FollowedValue> values;
  for (int k = 0; k < 3; ++k) {
    const auto byte = [&](int64_t row, int64_t column) {
      return int{of.image.pixel(static_cast<int>(column), static_cast<int>(row))[channels.source[k]]};
    };
    values.push_back({k,
                      {byte(rows.low, columns.low), byte(rows.low, columns.high),
                       byte(rows.high, columns.low), byte(rows.high, columns.high)},
                      kernels::resized_value(source, rows, columns, bytes, k),
                      channels.normal[k].gain,
                      channels.normal[k].offset,
                      kernels::resized_value(source, rows, columns, channels, k),
                      pixels.at(y, x)[k]});
  }
  return values;
}

/// The channels whose values differ most over the map, the most varied first.
std::vector<size_t> strongest_channels(const HostMap& map) {
  const auto c = static_cast<size_t>(map.c);
  std::vector<double> sum(c), square(c);
  for (size_t i = 0; i < map.values.size(); ++i) {
    const auto value = static_cast<double>(map.values[i]);
    sum[i % c] += value;
    square[i % c] += value * value;
  }
  const auto cells = static_cast<double>(map.h * map.w);
  std::vector<size_t> order(c);
  std::iota(order.begin(), order.end(), size_t{0});
  const auto spread = [&](size_t i) { return square[i] / cells - (sum[i] / cells) * (sum[i] / cells); };
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return spread(a) > spread(b); });
  order.resize(std::min(order.size(), kChannelsShown));
  return order;
}

std::vector<float> channel_of(const HostMap& map, size_t channel) {
  std::vector<float> values;
  for (size_t i = channel; i < map.values.size(); i += static_cast<size_t>(map.c))
    values.push_back(map.values[i]);
  return values;
}

/// Where the pixels are that change one cell: the gradient of the sum of its absolute values on the input,
/// by the backward pass of the backbone, on a part of the image around the cell.
struct ReceptiveField {
  Box area;  // of `heat`, in pixels of the input
  Image heat;
  Box core;  // the smallest box around the cell with half of the gradient
};

ReceptiveField receptive_field(const Explained& of, size_t level, int64_t y, int64_t x) {
  const StageLevel& grid = of.stages.levels[level];
  const HostMap whole = host_map(of.batch.pixels);
  const StageLevel& coarsest = of.stages.levels[of.tensors.levels.size() - 1];
  const int64_t step = std::max<int64_t>(of.config().size_divisible, coarsest.stride);
  const auto cut = [&](int64_t centre, int64_t size) {
    const int64_t side = size < step ? size : std::min(size / step * step, kFieldCrop / step * step);
    const int64_t from = std::clamp<int64_t>((centre - side / 2) / step * step, 0, size - side);
    return std::pair(from / step * step, side);
  };
  const auto [top, h] = cut(y * grid.stride, whole.h);
  const auto [left, w] = cut(x * grid.stride, whole.w);
  Tensor crop = Tensor::empty({1, h, w, 3}, DType::f32);
  for (int64_t row = 0; row < h; ++row)
    std::copy_n(whole.at(top + row, left), w * 3, crop.mutable_data<float>() + row * w * 3);

  const bool before = of.ctx.grad;
  of.ctx.grad = true;
  const Var input = Var::parameter(crop.to(of.ctx.device));
  std::vector<Var> maps = (*of.model.backbone)(of.ctx, input);
  if (of.model.fpn) maps = (*of.model.fpn)(of.ctx, maps);
  const Var& map = maps[level];
  const int64_t cells = map.dim(1) * map.dim(2), c = map.dim(3);
  const int64_t cell = (y - top / grid.stride) * map.dim(2) + x - left / grid.stride;
  Tensor labels = Tensor::empty({1, cells * c / 4}, DType::i32);
  std::fill_n(labels.mutable_data<int32_t>(), labels.numel(), -1);
  std::fill_n(labels.mutable_data<int32_t>() + cell * c / 4, c / 4, 1);
  const Tensor nothing = Tensor::zeros({1, cells * c / 4, 4}, DType::f32);
  backward(of.ctx, smooth_l1(of.ctx, {map}, 1, nothing.to(of.ctx.device), labels.to(of.ctx.device), 0));
  of.ctx.grad = before;

  const HostMap gradient = host_map(input.gradient());
  std::vector<float> heat = strength(gradient);
  const double total = std::accumulate(heat.begin(), heat.end(), 0.0);
  const float cy = static_cast<float>(y - top / grid.stride) * static_cast<float>(grid.stride),
              cx = static_cast<float>(x - left / grid.stride) * static_cast<float>(grid.stride);
  float half = static_cast<float>(grid.stride) / 2;
  for (double inside = 0; inside < total / 2 && half < static_cast<float>(kFieldCrop); half *= 1.15f) {
    inside = 0;
    for (int64_t i = 0; i < h * w; ++i)
      if (std::fabs(static_cast<float>(i / w) - cy) <= half * 1.15f &&
          std::fabs(static_cast<float>(i % w) - cx) <= half * 1.15f)
        inside += static_cast<double>(heat[static_cast<size_t>(i)]);
  }
  const float most = *std::max_element(heat.begin(), heat.end());
  for (float& value : heat) value = most > 0 ? std::sqrt(value / most) : 0;  // faint pixels become visible
  const auto fl = static_cast<float>(left), ft = static_cast<float>(top);
  return {{fl, ft, fl + static_cast<float>(w), ft + static_cast<float>(h)},
          heat_image(heat, h, w, 0, 1),
          {fl + cx - half, ft + cy - half, fl + cx + half, ft + cy + half}};
}

Plate field_plate(const Explained& of, size_t level, int64_t y, int64_t x, nlohmann::ordered_json& numbers) {
  const ReceptiveField field = receptive_field(of, level, y, x);
  Drawing drawing = of.on_photo();
  drawing.layers.push_back({field.heat, field.area, 0.75f, true});
  drawing.marks.push_back({.at = field.core, .colour = kGreen, .width = 2, .text = "half of the influence"});
  const auto stride = static_cast<float>(of.stages.levels[level].stride);
  drawing.marks.push_back({.at = cells_place(y, x, y + 1, x + 1, stride), .colour = kWhite, .width = 1.5f});
  numbers["receptive_field"] = {{"level", level_name(of.stages, level)},
                                {"half_of_the_influence", json_box(field.core)}};
  return {std::move(drawing),
          fmt::format("The receptive field of one cell of {} (white), measured with the backward pass: the "
                      "brighter a pixel, the more it changes the cell. Half of the influence comes from the "
                      "green box of {} pixels of the input.",
                      level_name(of.stages, level), extent(field.core))};
}

/// How the photograph came to its size in the network.
std::string resizing_text(const Explained& of, bool resized) {
  const ResizedImage& size = of.to_image.size;
  if (!resized)
    return fmt::format(
        "The photograph has {} x {} pixels, which is the size that the network wants: it is not "
        "resized",
        of.image.width, of.image.height);
  return fmt::format(
      "The photograph of {} x {} pixels is resized to {} x {}, so that the shorter side has {} pixels "
      "(unless the longer one would then exceed {})",
      of.image.width, of.image.height, size.width, size.height, of.config().short_side,
      of.config().long_side);
}

std::string padding_text(const Explained& of, const HostMap& pixels) {
  const ResizedImage& size = of.to_image.size;
  if (pixels.w == size.width && pixels.h == size.height) return ".";
  return fmt::format("; it is padded to {} x {}, multiples of {}.", pixels.w, pixels.h,
                     of.config().size_divisible);
}

}  // namespace

Chapter explain_input(const Explained& of) {
  const ResizedImage& size = of.to_image.size;
  const HostMap pixels = host_map(of.batch.pixels);
  const Box target = of.followed.proposed >= 0
                         ? of.proposed(of.followed.proposed).box
                         : Box{0, 0, static_cast<float>(size.width), static_cast<float>(size.height)};
  const auto x = std::clamp(static_cast<int64_t>((target.x1 + target.x2) / 2), int64_t{0}, size.width - 1),
             y = std::clamp(static_cast<int64_t>((target.y1 + target.y2) / 2), int64_t{0}, size.height - 1);
  const std::vector<FollowedValue> values = follow_pixel(of, pixels, x, y);
  const bool resized = size.width != of.image.width || size.height != of.image.height;

  Chapter chapter{
      .id = "input",
      .title = "What the network sees",
      .text = fmt::format(
          "{}{} Each colour is then normalised to be around 0: (byte{} - mean) / standard deviation "
          "of the colour, written in the table as a factor and a summand. The white dot is a "
          "pixel that the table follows by hand.",
          resizing_text(of, resized), padding_text(of, pixels), of.config().pixel_range == 1 ? " / 255" : ""),
      .shape = fmt::format("(1, {}, {}, 3)", pixels.h, pixels.w),
      .source = {"models/transform.cpp", "make_image_batch"},
      .paper = "Faster R-CNN, section 3.3"};
  Drawing input = of.on_photo();
  input.on_photo = false;
  input.width = static_cast<double>(pixels.w);
  input.height = static_cast<double>(pixels.h);
  input.layers.push_back({input_picture(pixels, of.config()),
                          {0, 0, static_cast<float>(pixels.w), static_cast<float>(pixels.h)}});
  const auto fx = static_cast<float>(x), fy = static_cast<float>(y);
  input.marks.push_back({.at = {0, 0, static_cast<float>(size.width), static_cast<float>(size.height)},
                         .colour = kBlue,
                         .width = 2,
                         .dashed = true});
  input.marks.push_back({.kind = Mark::Kind::dot, .at = {fx, fy, 0, 0}, .colour = kWhite, .width = 5});
  chapter.plates.push_back({input, fmt::format("The network's input, turned back into colours.{}",
                                               pixels.w > size.width || pixels.h > size.height
                                                   ? " What lies outside of the dashed line is padding."
                                                   : "")});
  Drawing crop = input;
  crop.view = {fx - kCrop / 2, fy - kCrop / 2, fx + kCrop / 2, fy + kCrop / 2};
  crop.marks = {{.at = {fx, fy, fx + 1, fy + 1}, .colour = kWhite, .width = 3}};
  chapter.plates.push_back(
      {crop, fmt::format("{} x {} pixels of it around the pixel in row {}, column {}.", kCrop, kCrop, y, x)});
  std::string rows;
  for (const FollowedValue& v : values) {
    const std::string name(1, of.config().channel_order[static_cast<size_t>(v.channel)]);
    // The shortest numbers that are exact, so that the product comes out at all digits shown of it.
    const std::string from = resized ? fmt::format("{}&#160;{}<br/>{}&#160;{}</td><td>{}", v.bytes[0],
                                                   v.bytes[1], v.bytes[2], v.bytes[3], v.mixed)
                                     : fmt::format("{}", v.mixed);
    rows += fmt::format("<tr><td>{}</td><td>{}</td><td>x {} {:+}</td><td>{:.4f}</td><td>{:.4f}</td></tr>\n",
                        name, from, v.gain, v.offset, v.result, v.in_tensor);
    chapter.numbers["pixel"].push_back({{"channel", name},
                                        {"bytes", {v.bytes[0], v.bytes[1], v.bytes[2], v.bytes[3]}},
                                        {"resized", json_number(v.mixed)},
                                        {"gain", json_number(v.gain)},
                                        {"offset", json_number(v.offset)},
                                        {"result", json_number(v.result)},
                                        {"in_tensor", json_number(v.in_tensor)}});
  }
  chapter.numbers["row"] = y;
  chapter.numbers["column"] = x;
  chapter.numbers["padded"] = {pixels.h, pixels.w};
  chapter.more =
      table(fmt::format("<th>channel</th>{}<th>normalised</th><th>by hand</th><th>in the tensor</th>",
                        resized ? "<th>the four bytes around it</th><th>resized</th>" : "<th>byte</th>"),
            rows, "", values.size());
  return chapter;
}

Chapter explain_features(const Explained& of) {
  const auto& levels = of.tensors.levels;
  Chapter chapter{
      .id = "features",
      .title = "The backbone: maps of what is where",
      .text = fmt::format(
          "Convolutions turn the image into {} of {} channels each. A cell of a coarse map sees a larger "
          "part of the image, a cell of a fine map can say more precisely where something is. Of each map "
          "the first picture is the mean of the absolute values of all channels, the others are the channels "
          "whose values vary most. Each picture is scaled by itself, from its lowest value (black) to its "
          "highest (yellow); near the border the zeros count with which convolutions pad the maps. A cell is "
          "drawn centred on the point that its value belongs to.",
          levels.size() == 1 ? "one map" : fmt::format("{} maps", levels.size()), levels[0].dim(3)),
      .shape = "",
      .source = {"models/faster_rcnn.cpp", "FasterRcnn::features"},
      .paper = levels.size() > 1 ? "Feature Pyramid Networks, section 3" : "Faster R-CNN, section 3.1"};
  for (size_t l = 0; l < levels.size(); ++l) {
    const HostMap map = host_map(levels[l].value());
    const StageLevel& grid = of.stages.levels[l];
    const std::string name = level_name(of.stages, l);
    const Box area = map_place(map.h, map.w, grid.stride);
    chapter.shape += fmt::format("{}{} (1, {}, {}, {})", l > 0 ? ", " : "", name, map.h, map.w, map.c);
    chapter.numbers["levels"].push_back(
        {{"name", name}, {"stride", grid.stride}, {"shape", {map.h, map.w, map.c}}});
    const auto add = [&](const std::vector<float>& values, const std::string& caption) {
      const auto [low, high] = std::minmax_element(values.begin(), values.end());
      Drawing drawing = of.on_photo();
      drawing.layers.push_back({heat_image(values, map.h, map.w, *low, *high), area, 0.8f});
      chapter.plates.push_back({std::move(drawing), caption, true});
    };
    add(strength(map),
        fmt::format("<b>{}</b>, a cell for {} x {} pixels of the input: mean over the channels", name,
                    grid.stride, grid.stride));
    for (const size_t channel : strongest_channels(map)) {
      add(channel_of(map, channel), fmt::format("{} channel {}", name, channel));
      chapter.numbers["levels"].back()["strongest_channels"].push_back(channel);
    }
  }
  const size_t level = std::min(of.followed.level, levels.size() - 1);
  const StageLevel& grid = of.stages.levels[level];
  const Box around = of.stages.anchors[static_cast<size_t>(of.followed.anchor)];
  chapter.plates.push_back(field_plate(of, level, cell_at((around.y1 + around.y2) / 2, grid.stride, grid.h),
                                       cell_at((around.x1 + around.x2) / 2, grid.stride, grid.w),
                                       chapter.numbers));
  return chapter;
}

}  // namespace rcnn
