#include "report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "core/files/atomic_file.h"
#include "report/html.h"
#include "report/overlay.h"
#include "report/sections.h"

namespace rcnn {
namespace {

constexpr size_t kMaxFaults = 200;

std::string render_facts(const ReportData& data) {
  std::string rows, figures;
  for (const auto& [name, value] : data.highlights)
    figures += fmt::format("<div class=\"tile\"><b>{}</b><span>{}</span></div>\n", escape_html(value),
                           escape_html(name));
  for (const auto& [name, value] : data.facts)
    rows += fmt::format("<dt>{}</dt><dd>{}</dd>\n", escape_html(name), escape_html(value));
  for (const auto& [name, value] : data.verbatim_facts)
    rows += fmt::format("<dt>{}</dt><dd><code>{}</code></dd>\n", escape_html(name), escape_html(value));
  return (figures.empty() ? "" : fmt::format("<div class=\"tiles\">\n{}</div>\n", figures)) +
         (rows.empty() ? "" : fmt::format("<dl>\n{}</dl>\n", rows));
}

std::string render_settings(const ReportData& data) {
  std::string rows;
  for (const auto& [name, value] : data.settings)
    rows += fmt::format("<div><span>{}</span><code>{}</code></div>\n", escape_html(name), escape_html(value));
  if (!rows.empty()) rows = fmt::format("<div class=\"settings\">\n{}</div>\n", rows);
  return folded(fmt::format("All {} settings of this run", data.settings.size()), rows);
}

// ---- the page

std::string render_section(const ReportSection& section) {
  if (section.body.empty()) return "";
  return fmt::format("<section id=\"{}\">\n<h2>{}</h2>\n{}{}</section>\n", section.id, section.heading,
                     section.introduction.empty() ? "" : fmt::format("<p>{}</p>\n", section.introduction),
                     section.body);
}

/// Links to the sections that are not empty, with what stands before the colon of their headings.
std::string render_contents(std::span<const ReportSection> sections) {
  std::string links;
  for (const ReportSection& section : sections)
    if (!section.body.empty())
      links += fmt::format("<a href=\"#{}\">{}</a>\n", section.id,
                           section.heading.substr(0, section.heading.find(':')));
  return links.empty() ? "" : fmt::format("<nav aria-label=\"Contents\">\n{}</nav>\n", links);
}

}  // namespace

ReportSection faults_section(const ReportData& data) {
  std::vector<Fault> faults = data.faults;
  std::stable_partition(faults.begin(), faults.end(),
                        [](const Fault& fault) { return !is_note(fault.kind); });
  std::string items;
  for (size_t i = 0; i < std::min(faults.size(), kMaxFaults); ++i)
    items +=
        fmt::format("<li>{}{}</li>\n", is_note(faults[i].kind) ? "Note: " : "", escape_html(faults[i].what));
  if (faults.size() > kMaxFaults) items += fmt::format("<li>and {} more</li>\n", faults.size() - kMaxFaults);
  if (!items.empty()) items = fmt::format("<ul>\n{}</ul>\n", items);
  if (faults.size() > kLongTable) items = folded("All faults", items);
  return {"faults", "Faults in the dataset",
          fmt::format("{} found while reading the dataset; reading continued.", count_faults(faults)), items};
}

ReportSection run_section(const ReportData& data) {
  return {"run", "Command and settings", "", render_facts(data) + render_settings(data)};
}

Image shrink_to_fit(const Image& image, int side) {
  if ((image.width <= side && image.height <= side) || side < 1) return image;
  const int64_t longer = std::max(image.width, image.height);
  const auto scaled = [&](int length) {
    return std::max(1, static_cast<int>((int64_t{length} * side + longer / 2) / longer));
  };
  Image small(scaled(image.width), scaled(image.height));
  const int width = small.width;
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
  page += render_overview(data);
  page += render_section(next_steps_section(data));
  const ReportSection sections[] = {
      worst_section(data),        misses_section(data),     false_positives_section(data),
      confusion_section(data),    confidence_section(data), precision_section(data),
      examples_section(data),     training_section(data),   data_section(data),
      augmentation_section(data), faults_section(data),     run_section(data)};
  page += render_contents(sections);
  for (const ReportSection& section : sections) page += render_section(section);
  return html_page(data.title, "", page);
}

void write_report(const std::filesystem::path& path, const ReportData& data) {
  write_atomically(path, render_report(data));
}

}  // namespace rcnn
