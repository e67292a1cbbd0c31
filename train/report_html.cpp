#include "train/report_html.h"

#include <stb/stb_image_write.h>

#include <algorithm>
#include <vector>

#include "core/error.h"

namespace rcnn {
namespace {

// Above 90 stb_image_write keeps colour at full resolution, so that thin coloured lines stay sharp.
constexpr int kJpegQuality = 92;

void append_bytes(void* to, void* data, int size) {
  const auto* from = static_cast<const uint8_t*>(data);
  auto* bytes = static_cast<std::vector<uint8_t>*>(to);
  bytes->insert(bytes->end(), from, from + size);
}

}  // namespace

std::string escape_html(std::string_view text) {
  std::string html;
  for (const char c : text) {
    switch (c) {
      case '&':
        html += "&amp;";
        break;
      case '<':
        html += "&lt;";
        break;
      case '>':
        html += "&gt;";
        break;
      case '"':
        html += "&quot;";
        break;
      case '\'':
        html += "&#39;";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t')
          html += "\xEF\xBF\xBD";
        else
          html += c;
    }
  }
  return html;
}

std::string base64(std::span<const uint8_t> bytes) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    uint32_t group = 0;
    for (size_t j = 0; j < 3; ++j) group = group << 8 | (j < count ? bytes[i + j] : 0U);
    for (size_t j = 0; j < 4; ++j) text += j <= count ? kDigits[group >> (18 - 6 * j) & 63U] : '=';
  }
  return text;
}

std::string image_address(const Image& image) {
  check(image.width > 0 && image.height > 0, "the report cannot show an image of {} x {} pixels", image.width,
        image.height);
  std::vector<uint8_t> jpeg;
  const int done = stbi_write_jpg_to_func(append_bytes, &jpeg, image.width, image.height, 3, image.rgb.data(),
                                          kJpegQuality);
  check(done != 0, "the report cannot show an image of {} x {} pixels", image.width, image.height);
  return "data:image/jpeg;base64," + base64(jpeg);
}

const std::string_view kReportStyle = R"css(
:root { --ink: #17202e; --soft: #5b6675; --line: #e3e7ee; --tint: #f5f7fb; --accent: #1d4ed8; }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body { margin: 0; background: #fff; color: var(--ink); font: 16px/1.5 system-ui, -apple-system, "Segoe UI",
       Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 1160px; margin: 0 auto; padding: 40px 28px 64px; }
header { border-bottom: 1px solid var(--line); padding-bottom: 22px; }
h1 { font-size: clamp(26px, 5vw, 38px); line-height: 1.15; letter-spacing: -.02em; margin: 0;
     overflow-wrap: anywhere; }
h2 { font-size: 21px; letter-spacing: -.01em; margin: 46px 0 4px; }
p { margin: 0; color: var(--soft); overflow-wrap: anywhere; }
header p { margin-top: 6px; }
section > p { margin-bottom: 16px; max-width: 46em; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin-top: 24px; }
.tile { background: var(--tint); border-radius: 12px; padding: 14px 18px 12px; }
.tile b { display: block; font-size: 28px; font-weight: 650; line-height: 1.2; letter-spacing: -.02em;
          font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.tile span { color: var(--soft); font-size: 14px; }
.tile.main { background: var(--accent); color: #fff; }
.tile.main span { color: #dbe5ff; }
dl { display: grid; grid-template-columns: minmax(120px, max-content) 1fr; margin: 22px 0 0; font-size: 15px; }
dt { color: var(--soft); padding-right: 24px; }
dd { margin: 0; overflow-wrap: anywhere; }
dt, dd { padding-top: 7px; padding-bottom: 7px; border-bottom: 1px solid var(--line); }
code { font: 13.5px/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
.settings { columns: 3 300px; column-gap: 36px; margin-top: 12px; font-size: 14px; }
.settings div { display: flex; justify-content: space-between; gap: 16px; padding: 5px 0; break-inside: avoid;
                border-bottom: 1px solid var(--line); }
.settings span { color: var(--soft); }
.settings code { text-align: right; min-width: 0; overflow-wrap: anywhere; }
.charts { display: grid; gap: 16px; margin-top: 16px; }
.large { grid-template-columns: repeat(2, 1fr); }
.small { grid-template-columns: repeat(auto-fill, minmax(205px, 1fr)); }
figure { margin: 0; min-width: 0; }
.chart { border: 1px solid var(--line); border-radius: 12px; padding: 12px 12px 6px; }
.chart figcaption { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 14px; padding: 0 4px 6px;
                    font-size: 15px; font-weight: 600; overflow-wrap: anywhere; }
.chart figcaption span { font-weight: 400; color: var(--soft); font-variant-numeric: tabular-nums; }
.chart figcaption span + span { margin-left: 16px; }
.small .chart figcaption { font-size: 14px; }
.chart i, td i { display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin-right: 7px; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg svg { overflow: hidden; }
svg text { font-size: 12px; fill: var(--soft); font-variant-numeric: tabular-nums; }
.small svg text { font-size: 14px; }
svg .grid { stroke: var(--line); }
svg .axis { stroke: #aab3c0; }
.beside { display: grid; grid-template-columns: minmax(0, 5fr) minmax(0, 6fr); gap: 28px; align-items: start; }
table + p { margin-top: 22px; }
table { width: 100%; border-collapse: collapse; font-size: 15px; font-variant-numeric: tabular-nums; }
th { font-size: 13px; font-weight: 500; color: var(--soft); text-align: right; padding: 0 0 6px 12px;
     border-bottom: 1px solid #aab3c0; vertical-align: bottom; }
td { text-align: right; padding: 7px 0 7px 12px; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; white-space: normal; overflow-wrap: anywhere; }
tfoot td { font-weight: 650; border-bottom: 0; }
.bar { display: inline-block; width: 72px; height: 6px; border-radius: 3px; background: var(--line); margin-left: 10px;
       vertical-align: middle; overflow: hidden; }
.bar b { display: block; height: 100%; border-radius: 3px; }
.examples { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 20px; align-items: start; }
.example { border: 1px solid var(--line); border-radius: 12px; padding: 10px 10px 8px; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 8px; }
.pair div { min-width: 0; }
.pair span { display: block; font-size: 13px; color: var(--soft); padding: 0 2px 4px; }
.pair img { display: block; width: 100%; height: auto; border-radius: 6px; background: var(--tint); }
.example figcaption { font-size: 14px; padding: 7px 2px 0; overflow-wrap: anywhere; }
ul { margin: 0; padding-left: 20px; font-size: 15px; overflow-wrap: anywhere; }
footer { margin-top: 52px; padding-top: 16px; border-top: 1px solid var(--line); font-size: 14px; }
@media (max-width: 760px) {
  main { padding: 24px 16px 48px; }
  .large, .beside, .examples { grid-template-columns: minmax(0, 1fr); }
  .tiles, .small { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 10px; }
  .tile { padding: 12px 14px 10px; }
  .tile b { font-size: 23px; }
  dl { display: block; }
  dt { border: 0; padding: 8px 0 0; font-size: 14px; }
  dd { padding: 0 0 8px; }
  .large svg text, .beside svg text { font-size: 16px; }
  .small .chart { padding: 10px 8px 4px; }
  .small svg text { font-size: 15px; }
  .bar { display: none; }
  table { font-size: 14px; }
  th, td { padding-left: 8px; }
  th { font-size: 12px; }
}
@media print { .chart, .example, tr { break-inside: avoid; } }
)css";

}  // namespace rcnn
