// The chapters on regions: what RoIAlign reads of one proposal, and what the head says about it.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kernels/boxes/box_math.h"
#include "kernels/roi/roi_align_math.h"
#include "layers/roi_checks.h"
#include "report/explain_parts.h"
#include "report/html.h"

namespace rcnn {
namespace {

constexpr size_t kClassesShown = 8;

/// The grid of RoIAlign with which the head pooled: the layer's own arguments.
kernels::RoiAlignGrid pooling_grid(const Explained& of) {
  const ModelConfig& config = of.config();
  const Shape& image = of.batch.pixels.shape();
  return {
      checked_roi_levels("roi_align", of.tensors.levels, of.trace.proposals.boxes, of.trace.proposals.count,
                         config.box_pool_size, config.box_pool_size, pooling_scales(of.tensors.levels, image),
                         config.box_canonical_size, static_cast<int>(config.box_canonical_level)),
      static_cast<int>(config.box_sampling_ratio), false};
}

/// One sampling point in pixels of the map, the four cells around it and their weights.
struct SamplePoint {
  float y, x;
  kernels::AxisSample row, column;
  bool inside;
};

std::vector<SamplePoint> samples_of(const kernels::RoiAxes& axes, const HostMap& map, int64_t bin_y,
                                    int64_t bin_x) {
  std::vector<SamplePoint> samples;
  for (int i = 0; i < axes.y.points; ++i)
    for (int j = 0; j < axes.x.points; ++j) {
      SamplePoint s{kernels::sample_position(axes.y, bin_y, i),
                    kernels::sample_position(axes.x, bin_x, j),
                    {},
                    {},
                    false};
      s.inside = kernels::axis_sample(axes.y, bin_y, i, map.h, s.row) &&
                 kernels::axis_sample(axes.x, bin_x, j, map.w, s.column);
      samples.push_back(s);
    }
  return samples;
}

float value_at(const SamplePoint& s, const HostMap& map, size_t channel) {
  if (!s.inside) return 0;
  const auto at = [&](int64_t y, int64_t x) { return map.at(y, x)[channel]; };
  return s.row.low_weight * (s.column.low_weight * at(s.row.low, s.column.low) +
                             s.column.high_weight * at(s.row.low, s.column.high)) +
         s.row.high_weight * (s.column.low_weight * at(s.row.high, s.column.low) +
                              s.column.high_weight * at(s.row.high, s.column.high));
}

/// The bin that is worked through, and its channel with the largest value.
struct WorkedBin {
  int64_t bin;  // row and column
  size_t channel;
};
WorkedBin choose_bin(const HostMap& pooled) {
  const int64_t bin = pooled.h / 2;
  const float* values = pooled.at(bin, bin);
  return {bin, static_cast<size_t>(std::max_element(values, values + pooled.c) - values)};
}

/// What the region holds in one channel, as numbers. The worked bin is marked.
std::string pooled_table(const HostMap& pooled, const WorkedBin& worked, nlohmann::ordered_json& numbers) {
  std::string rows, head = "<th></th>";
  for (int64_t x = 0; x < pooled.w; ++x) head += fmt::format("<th>{}</th>", x);
  for (int64_t y = 0; y < pooled.h; ++y) {
    rows += fmt::format("<tr><th>{}</th>", y);
    nlohmann::ordered_json row;
    for (int64_t x = 0; x < pooled.w; ++x) {
      const float value = pooled.at(y, x)[worked.channel];
      rows += fmt::format("<td{}>{:.3f}</td>", y == worked.bin && x == worked.bin ? " class=\"marked\"" : "",
                          value);
      row.push_back(json_number(value));
    }
    rows += "</tr>\n";
    numbers.push_back(row);
  }
  return fmt::format(
      "<h3>What the {0} x {1} bins hold: channel {2} of {3}</h3>\n<div class=\"grid\">{4}</div>\n", pooled.h,
      pooled.w, worked.channel, pooled.c, table(head, rows, "", 1));
}

/// A bin worked through by hand.
std::string worked_bin(const kernels::RoiAxes& axes, const HostMap& map, const HostMap& pooled,
                       const WorkedBin& worked, nlohmann::ordered_json& numbers) {
  const int64_t bin = worked.bin;
  const size_t channel = worked.channel;
  const float in_tensor = pooled.at(bin, bin)[channel];
  std::string rows;
  float sum = 0;
  const std::vector<SamplePoint> samples = samples_of(axes, map, bin, bin);
  for (const SamplePoint& s : samples) {
    const float value = value_at(s, map, channel);
    sum += value;
    // Two lines for the two rows, as the cells lie in the picture.
    const auto line = [&](int64_t y, float weight) {
      const float left = map.at(y, s.column.low)[channel], right = map.at(y, s.column.high)[channel];
      return fmt::format("{:.5f} x ({:.5f} x {:.5f} + {:.5f} x {:.5f})", weight, s.column.low_weight, left,
                         s.column.high_weight, right);
    };
    const std::string sum_of_cells =
        s.inside ? line(s.row.low, s.row.low_weight) + "<br/>+ " + line(s.row.high, s.row.high_weight)
                 : "outside of the map";
    rows += fmt::format(
        "<tr><td>({:.2f}, {:.2f})</td><td>{}, {}</td><td>{}, {}</td><td class=\"sum\">{}</td><td>{:.4f}</td>"
        "</tr>\n",
        s.y, s.x, s.row.low, s.row.high, s.column.low, s.column.high, sum_of_cells, value);
    numbers["points"].push_back({{"y", json_number(s.y)}, {"x", json_number(s.x)}});
    nlohmann::ordered_json& point = numbers["points"].back();
    if (s.inside) {
      point["rows"] = {s.row.low, s.row.high};
      point["columns"] = {s.column.low, s.column.high};
      for (const int64_t y : {s.row.low, s.row.high})
        for (const int64_t x : {s.column.low, s.column.high})
          point["cells"].push_back(json_number(map.at(y, x)[channel]));
    }
    point["value"] = json_number(value);
  }
  const float mean = sum / static_cast<float>(kernels::sample_count(axes.y, axes.x));
  numbers["bin"] = {bin, bin};
  numbers["channel"] = channel;
  numbers["by_hand"] = json_number(mean);
  numbers["in_tensor"] = json_number(in_tensor);
  const std::string foot = fmt::format(
      "<td>mean</td><td></td><td></td><td>the network has {:.4f}</td><td>{:.4f}</td>", in_tensor, mean);
  return fmt::format(
             "<h3>The middle bin by hand</h3>\n<p>Row {0}, column {0}, marked above. Each point lies between "
             "two rows and two columns of cells; the closer one has the larger weight.</p>\n",
             bin) +
         table(
             "<th>point (row, column)</th><th>rows</th><th>columns</th><th>weight of the row x (weight of "
             "the column x cell + ...)</th><th>value</th>",
             rows, foot, samples.size());
}

std::string level_choice(const Explained& of, const kernels::RoiAlignGrid& grid, const Box& box, int level) {
  if (grid.levels == 1) return "The network has one map, and every region is pooled from it.";
  const float side = std::sqrt(kernels::box_area(box));
  const auto canonical =
      static_cast<size_t>(std::clamp<int64_t>(of.config().box_canonical_level, 0, grid.levels - 1));
  std::string numbered;
  for (int l = 0; l < grid.levels; ++l)
    numbered += fmt::format("{}{} = {}", l > 0 ? ", " : "", level_name(of.stages, static_cast<size_t>(l)), l);
  return fmt::format(
      "The level is chosen by the size of the region, not by the level of its anchor. Levels are numbered "
      "from the finest: {}. A region with a side of {:.0f} pixels of the network's input uses {} (the "
      "settings <code>--box-canonical-size</code> and <code>--box-canonical-level</code> of <code>rcnn "
      "train</code>); half the side is one level finer, twice the side one level coarser. This region has a "
      "side of sqrt({:.2f} x {:.2f}) = {:.2f} pixels: {} + log2({:.2f} / {:.0f}) = {:.2f}, rounded down and "
      "kept within the levels. So it is pooled from <b>{}</b>.",
      numbered, grid.canonical_size, level_name(of.stages, canonical), box.x2 - box.x1, box.y2 - box.y1, side,
      of.config().box_canonical_level, side, grid.canonical_size,
      static_cast<double>(of.config().box_canonical_level) +
          std::log2(static_cast<double>(side / grid.canonical_size)),
      level_name(of.stages, static_cast<size_t>(level)));
}

Plate pooled_plate(const HostMap& pooled, const std::vector<float>& values, const std::string& caption) {
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  Drawing drawing;
  drawing.on_photo = false;
  drawing.width = static_cast<double>(pooled.w);
  drawing.height = static_cast<double>(pooled.h);
  drawing.layers.push_back({heat_image(values, pooled.h, pooled.w, *low, *high),
                            {0, 0, static_cast<float>(pooled.w), static_cast<float>(pooled.h)}});
  return {std::move(drawing), caption, true};
}

/// Why the tensors of the regions have more rows than there are proposals.
std::string padding_rows_text(const Explained& of) {
  const int64_t rows = of.tensors.head.pooled.dim(0), proposals = std::ssize(of.stages.proposals);
  if (rows <= proposals) return "";
  return fmt::format(
      " The tensors have room for {} proposals (<code>--rpn-post-nms-top-n-test</code>); {} here, and the "
      "other {} rows are padding.",
      rows, proposals == 1 ? "there is 1" : fmt::format("there are {}", proposals), rows - proposals);
}

}  // namespace

size_t pooled_level(const Explained& of, const Box& region) {
  float roi[4];
  kernels::store_box(roi, region);
  return static_cast<size_t>(kernels::roi_level(pooling_grid(of), roi));
}

Chapter explain_pooling(const Explained& of) {
  const bool align = of.config().box_pooling == "roi-align";
  Chapter chapter{
      .id = "pooling",
      .title = align ? "RoIAlign: what one region shows" : "RoI pooling: what one region shows",
      .text = fmt::format(
          "Regions have all sizes, the head wants one: every proposal is cut into {0} x {0} bins. {1}{2}",
          of.config().box_pool_size,
          align ? "A bin is the mean of the map at a few points, each interpolated between the four cells "
                  "around it, so that nothing is rounded to whole cells."
                : "A bin is the largest value of the map in it.",
          padding_rows_text(of)),
      .shape = fmt::format("({}, {}, {}, {})", of.tensors.head.pooled.dim(0), of.tensors.head.pooled.dim(1),
                           of.tensors.head.pooled.dim(2), of.tensors.head.pooled.dim(3)),
      .source = {"kernels/roi/roi_align_math.h", "axis_sample"},
      .paper = "Mask R-CNN, section 3; Feature Pyramid Networks, equation 1"};
  if (of.followed.proposal < 0) return chapter;
  const kernels::RoiAlignGrid grid = pooling_grid(of);
  const Box box = of.proposed(of.followed.proposed).box;
  float roi[4];
  kernels::store_box(roi, box);
  const kernels::RoiAxes axes = kernels::axes_of(grid, roi);
  const HostMap map = host_map(of.tensors.levels[static_cast<size_t>(axes.level)].value());
  const HostMap pooled = host_map(of.tensors.head.pooled.value(), of.followed.proposal);
  const float cell = 1 / grid.scale[axes.level];  // pixels of the input from one cell to the next
  const WorkedBin worked = choose_bin(pooled);

  Drawing points = of.on_photo(), on_map = of.on_photo();
  const std::vector<float> strengths = strength(map);
  const auto [low, high] = std::minmax_element(strengths.begin(), strengths.end());
  on_map.layers.push_back(
      {heat_image(strengths, map.h, map.w, *low, *high), cells_place(0, 0, map.h, map.w, cell), 0.85f});
  for (Drawing* drawing : {&points, &on_map}) {
    drawing->view = view_around(*drawing, box, 0.25f);
    for (int64_t i = 0; i <= pooled.h; ++i) {
      const float part = static_cast<float>(i) / static_cast<float>(pooled.h);
      const float y = box.y1 + part * (box.y2 - box.y1), x = box.x1 + part * (box.x2 - box.x1);
      drawing->marks.push_back(
          {.kind = Mark::Kind::line, .at = {box.x1, y, box.x2, y}, .colour = kWhite, .width = 1});
      drawing->marks.push_back(
          {.kind = Mark::Kind::line, .at = {x, box.y1, x, box.y2}, .colour = kWhite, .width = 1});
    }
    if (align)
      for (int64_t i = 0; i < pooled.h * pooled.w; ++i)
        for (const SamplePoint& s : samples_of(axes, map, i / pooled.w, i % pooled.w))
          drawing->marks.push_back(
              {.kind = Mark::Kind::dot, .at = {s.x * cell, s.y * cell, 0, 0}, .colour = kYellow, .width = 3});
  }
  const std::string level = level_name(of.stages, static_cast<size_t>(axes.level));
  chapter.plates.push_back(
      {std::move(points),
       fmt::format("Proposal {}, cut into {} x {} bins{}.", of.followed.proposal + 1, pooled.h, pooled.w,
                   align ? fmt::format(", with {} x {} points in each", axes.y.points, axes.x.points) : "")});
  chapter.plates.push_back(
      {std::move(on_map),
       fmt::format(
           "The same over {}, from which it is pooled: a cell for {:.0f} x {:.0f} pixels of the input{}.",
           level, cell, cell, align ? ", drawn centred on the point that its value belongs to" : "")});
  chapter.plates.push_back(
      pooled_plate(pooled, strength(pooled), "The result: the mean of the absolute values of all channels"));
  const auto c = static_cast<size_t>(pooled.c);
  std::vector<float> most(c);  // the largest value of each channel; that of the table comes first
  for (size_t i = 0; i < pooled.values.size(); ++i) most[i % c] = std::max(most[i % c], pooled.values[i]);
  most[worked.channel] = INFINITY;
  for (size_t shown = 0; shown < std::min<size_t>(2, c); ++shown) {
    const auto channel = static_cast<size_t>(std::max_element(most.begin(), most.end()) - most.begin());
    most[channel] = -INFINITY;
    std::vector<float> values;
    for (size_t i = channel; i < pooled.values.size(); i += c) values.push_back(pooled.values[i]);
    chapter.plates.push_back(pooled_plate(
        pooled, values, fmt::format("channel {}{}", channel, shown == 0 ? ", whose numbers are below" : "")));
  }
  chapter.numbers = {{"proposal", of.followed.proposal + 1}, {"box", json_box(box)}, {"level", level}};
  chapter.more = fmt::format("<p>{}</p>\n", level_choice(of, grid, box, axes.level)) +
                 pooled_table(pooled, worked, chapter.numbers["channel_values"]);
  if (align) chapter.more += worked_bin(axes, map, pooled, worked, chapter.numbers["worked"]);
  return chapter;
}

Chapter explain_head(const Explained& of) {
  const Stages& stages = of.stages;
  Chapter chapter{
      .id = "head",
      .title = "The head: what it is, and exactly where",
      .text =
          "From the pooled numbers, the head's layers give the region a probability for each class and for "
          "background, and for each class four deltas that move the box once more. The bars are the "
          "probabilities of the region that is followed.",
      .shape = fmt::format("({}, {}) logits and ({}, {}) deltas", of.tensors.head.output.logits.dim(0),
                           of.tensors.head.output.logits.dim(1), of.tensors.head.output.deltas.dim(0),
                           of.tensors.head.output.deltas.dim(1)),
      .source = {"models/roi_head.cpp", "roi_head_forward"},
      .paper = "Fast R-CNN, section 2"};
  if (of.followed.proposal < 0) return chapter;
  std::vector<int> order;
  for (int label = 0; label < stages.classes; ++label) order.push_back(label);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return stages.probability(of.followed.proposal, a) > stages.probability(of.followed.proposal, b);
  });
  const HostMap logits = host_map(of.tensors.head.output.logits.value().reshape(
                                      {of.tensors.head.output.logits.dim(0), 1, 1, stages.classes}),
                                  of.followed.proposal);
  std::string rows;
  for (size_t i = 0; i < order.size(); ++i) {
    const float p = stages.probability(of.followed.proposal, order[i]);
    const float logit = logits.values[static_cast<size_t>(order[i])];
    if (i < kClassesShown)
      rows += fmt::format("<tr><td>{}</td><td>{:.3f}</td><td>{:.4f}{}</td></tr>\n",
                          escape_html(of.class_name(order[i])), logit, p,
                          bar(double{p}, order[i] == 0 ? kSecond : kAccent));
    chapter.numbers["probabilities"].push_back(
        {{"class", of.class_name(order[i])}, {"logit", json_number(logit)}, {"probability", json_number(p)}});
  }
  chapter.more = table(fmt::format("<th>class{}</th><th>logit</th><th>probability</th>",
                                   part_of(std::min(order.size(), kClassesShown), order.size())),
                       rows, "", kClassesShown);
  if (of.followed.classified < 0) return chapter;

  const StageBox& refined = of.classified(of.followed.classified);
  const StageBox& proposal = of.proposed(of.followed.proposed);
  const int64_t columns = of.tensors.head.output.deltas.dim(1) / 4;
  const HostMap deltas = host_map(
      of.tensors.head.output.deltas.value().reshape({of.tensors.head.output.deltas.dim(0), 1, columns, 4}),
      of.followed.proposal);
  const float* d = deltas.at(0, columns == 1 ? 0 : refined.group);
  const BoxCoder coder = roi_coder(of.config());
  const Box from = kernels::spanned(proposal.box, of.plus_one());
  const float limit = coder.limit_log_scale ? static_cast<float>(kernels::kMaxLogScale) : INFINITY;
  const Box moved = kernels::clip(kernels::decode(from, d, coder.weights.data(), limit),
                                  static_cast<float>(of.to_image.size.height),
                                  static_cast<float>(of.to_image.size.width), of.plus_one());
  const char* names[] = {"dx", "dy", "dw", "dh"};
  std::string steps;
  for (size_t i = 0; i < 4; ++i) {
    const bool size = i >= 2;
    const float part = d[i] / coder.weights[i];
    const float side = i % 2 == 0 ? from.x2 - from.x1 : from.y2 - from.y1;
    steps +=
        fmt::format("<tr><td>{}</td><td>{:+.7f} / {:g} = {:+.6f}</td><td>{}</td></tr>\n", names[i], d[i],
                    coder.weights[i], part,
                    size ? fmt::format("{:.3f} x exp({:+.6f}) = {:.2f} px", side, part, side * std::exp(part))
                         : fmt::format("{:+.6f} x {:.3f} = {:+.2f} px", part, side, part * side));
  }
  chapter.more += fmt::format(
      "<p>The head learns larger numbers than the deltas are: each is divided by a fixed weight ({:g}, {:g}, "
      "{:g}, {:g}), so that all four are of about the same size in training.</p>\n",
      coder.weights[0], coder.weights[1], coder.weights[2], coder.weights[3]);
  chapter.more += table("<th>delta</th><th>divided by its fixed weight</th><th>what it does</th>", steps,
                        fmt::format("<td>refined box</td><td>by hand {}</td><td>the network has {}</td>",
                                    box_text(moved), box_text(refined.box)),
                        4);
  chapter.numbers["refined"] = {
      {"class", of.class_name(refined.group)},
      {"deltas", {json_number(d[0]), json_number(d[1]), json_number(d[2]), json_number(d[3])}},
      {"by_hand", json_box(moved)},
      {"box", json_box(refined.box)},
      {"score", json_number(refined.score)}};
  Drawing drawing = of.on_photo();
  drawing.marks = {{.at = proposal.box, .colour = kYellow, .width = 2, .dashed = true, .text = "proposal"},
                   {.at = refined.box, .colour = kGreen, .width = 3, .text = of.named(refined)},
                   {.kind = Mark::Kind::arrow,
                    .at = centre_arrow(proposal.box, refined.box),
                    .colour = kGreen,
                    .width = 3}};
  chapter.plates.push_back({drawing, "The proposal (dashed) and the box of its class."});
  const Box &a = proposal.box, &b = refined.box;
  const Box both{std::min(a.x1, b.x1), std::min(a.y1, b.y1), std::max(a.x2, b.x2), std::max(a.y2, b.y2)};
  drawing.view = view_around(drawing, both, 0.12f);
  chapter.plates.push_back(
      {std::move(drawing),
       fmt::format("The same, closer. Objectness before: {}. Score of the class now: {}.",
                   share(1 / (1 + std::exp(-double{proposal.score}))), of.score_text(refined))});
  return chapter;
}

}  // namespace rcnn
