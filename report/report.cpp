#include "report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "core/files/atomic_file.h"
#include "report/html.h"
#include "report/sections.h"

namespace rcnn {
namespace {

constexpr size_t kMaxFaults = 200;

// ---- head of the page

std::string tile(const std::string& value, const std::string& name, bool main = false) {
  return fmt::format("<div class=\"tile{}\"><b>{}</b><span>{}</span></div>\n", main ? " main" : "",
                     escape_html(value), escape_html(name));
}

std::string render_tiles(const ReportData& data) {
  std::string tiles;
  if (!data.result.classes.empty()) {
    tiles += tile(fmt::format("{:.3f}", data.result.map_area), "mAP@.5 (area)", true);
    tiles += tile(fmt::format("{:.3f}", data.result.map_11point), "mAP@.5 (11 points)");
  }
  if (!data.coco_figures.empty() && data.coco_figures.front().second >= 0)
    tiles += tile(fmt::format("{:.3f}", data.coco_figures.front().second), "mAP@.5:.95 (COCO)");
  for (const auto& [name, value] : data.highlights) tiles += tile(value, name);
  return tiles.empty() ? "" : fmt::format("<div class=\"tiles\">\n{}</div>\n", tiles);
}

std::string render_facts(const ReportData& data) {
  std::string rows;
  for (const auto& [name, value] : data.facts)
    rows += fmt::format("<dt>{}</dt><dd>{}</dd>\n", escape_html(name), escape_html(value));
  for (const auto& [name, value] : data.verbatim_facts)
    rows += fmt::format("<dt>{}</dt><dd><code>{}</code></dd>\n", escape_html(name), escape_html(value));
  return rows.empty() ? "" : fmt::format("<dl>\n{}</dl>\n", rows);
}

ReportSection settings_section(const ReportData& data) {
  std::string rows;
  for (const auto& [name, value] : data.settings)
    rows += fmt::format("<div><span>{}</span><code>{}</code></div>\n", escape_html(name), escape_html(value));
  if (!rows.empty()) rows = fmt::format("<div class=\"settings\">\n{}</div>\n", rows);
  return {"settings", "Settings", "All settings of this run.", rows};
}

// ---- examples and faults

std::string half_of_pair(const Image& image, const char* name) {
  return fmt::format("<div><span>{}</span>{}</div>", name,
                     image_element(shrink_to_width(image, kReportImageWidth), name));
}

ReportSection examples_section(const ReportData& data) {
  std::string figures;
  for (const ReportExample& example : data.examples)
    figures += fmt::format(
        "<figure class=\"example\"><div class=\"pair\">{}{}</div><figcaption>{}</figcaption>"
        "</figure>\n",
        half_of_pair(example.truth, "Ground truth"), half_of_pair(example.detected, "Detections"),
        escape_html(example.caption));
  if (!figures.empty()) figures = fmt::format("<div class=\"examples\">\n{}</div>\n", figures);
  return {"examples", "Example detections",
          "Each image is shown with its ground truth and with the detections of the model.", figures};
}

ReportSection faults_section(const std::vector<Fault>& faults) {
  std::string items;
  for (size_t i = 0; i < std::min(faults.size(), kMaxFaults); ++i)
    items += fmt::format("<li>{}</li>\n", escape_html(faults[i].what));
  if (faults.size() > kMaxFaults) items += fmt::format("<li>and {} more</li>\n", faults.size() - kMaxFaults);
  if (!items.empty()) items = fmt::format("<ul>\n{}</ul>\n", items);
  return {"faults", "Faults in the dataset",
          fmt::format("{} found while reading the dataset; reading continued.", faults.size()), items};
}

// ---- the page

std::string render_section(const ReportSection& section) {
  if (section.body.empty()) return "";
  return fmt::format("<section id=\"{}\">\n<h2>{}</h2>\n{}{}</section>\n", section.id, section.heading,
                     section.introduction.empty() ? "" : fmt::format("<p>{}</p>\n", section.introduction),
                     section.body);
}

/// Links to the sections that are not empty.
std::string render_contents(std::span<const ReportSection> sections) {
  std::string links;
  for (const ReportSection& section : sections)
    if (!section.body.empty()) links += fmt::format("<a href=\"#{}\">{}</a>\n", section.id, section.heading);
  return links.empty() ? "" : fmt::format("<nav aria-label=\"Contents\">\n{}</nav>\n", links);
}

}  // namespace

Image shrink_to_width(const Image& image, int width) {
  if (image.width <= width || width < 1) return image;
  Image small(width, std::max(1, static_cast<int>(int64_t{image.height} * width / image.width)));
  for (int y = 0; y < small.height; ++y) {
    const auto y1 = static_cast<int>(int64_t{y} * image.height / small.height);
    const auto y2 = static_cast<int>((int64_t{y + 1} * image.height + small.height - 1) / small.height);
    for (int x = 0; x < width; ++x) {
      const auto x1 = static_cast<int>(int64_t{x} * image.width / width);
      const auto x2 = static_cast<int>((int64_t{x + 1} * image.width + width - 1) / width);
      const int count = (y2 - y1) * (x2 - x1);
      for (int c = 0; c < 3; ++c) {
        int sum = count / 2;
        for (int v = y1; v < y2; ++v)
          for (int u = x1; u < x2; ++u) sum += image.pixel(u, v)[c];
        small.pixel(x, y)[c] = static_cast<uint8_t>(sum / count);
      }
    }
  }
  return small;
}

std::string render_report(const ReportData& data) {
  std::string page = fmt::format("<header>\n<h1>{}</h1>\n", escape_html(data.title));
  if (!data.subtitle.empty()) page += fmt::format("<p>{}</p>\n", escape_html(data.subtitle));
  page += "</header>\n";
  page += render_tiles(data);
  page += render_section(next_steps_section(data));
  page += render_facts(data);
  const ReportSection sections[] = {
      data_section(data),     augmentation_section(data),  training_section(data), precision_section(data),
      scores_section(data),   confusion_section(data),     misses_section(data),   worst_section(data),
      examples_section(data), faults_section(data.faults), settings_section(data)};
  page += render_contents(sections);
  for (const ReportSection& section : sections) page += render_section(section);
  return html_page(data.title, "", page);
}

void write_report(const std::filesystem::path& path, const ReportData& data) {
  write_atomically(path, render_report(data));
}

}  // namespace rcnn
