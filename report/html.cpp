#include "report/html.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "core/error.h"
#include "core/files/output.h"
#include "core/files/sha256.h"
#include "core/text.h"
#include "report/overlay.h"

namespace rcnn {

std::string escape_html(std::string_view text) {
  std::string html;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find_first_of("\n\t", begin), text.size());
    for (const char c : printable(text.substr(begin, end - begin))) switch (c) {
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
          html += c;
      }
    if (end < text.size()) html += text[end];
    begin = end + 1;
  }
  return html;
}

std::string advice_html(std::string_view sentence) {
  const auto in_option = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
  std::string html;
  while (!sentence.empty()) {
    const size_t begin = std::min(sentence.find("--"), sentence.size());
    size_t end = begin;
    while (end < sentence.size() && in_option(sentence[end])) ++end;
    html += escape_html(sentence.substr(0, begin));
    if (end > begin) html += fmt::format("<code>{}</code>", sentence.substr(begin, end - begin));
    sentence.remove_prefix(end);
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
  return "data:image/jpeg;base64," + base64(encode_jpeg(image));
}

std::string image_element(const Image& image, std::string_view description) {
  return fmt::format("<img src=\"{}\" width=\"{}\" height=\"{}\" alt=\"{}\"/>", image_address(image),
                     image.width, image.height, escape_html(description));
}

std::string curve_colour(size_t i) { return fmt::format("var(--c{})", i % kMaxOverlaid + 1); }

std::string curve_dash(size_t i) {
  static constexpr std::array<const char*, kMaxOverlaid> kDashes = {
      "", "9 4", "2 3", "12 3 2 3", "5 2", "14 4 5 4", "9 3 2 3 2 3", "1 5"};
  return kDashes[i % kMaxOverlaid];
}

std::string curve_key(size_t i) {
  return fmt::format(
      R"(<svg class="key" viewBox="0 0 34 10" aria-hidden="true"><path d="M0 5L34 5" stroke="{}" )"
      R"(stroke-width="3" stroke-dasharray="{}"/></svg>)",
      curve_colour(i), curve_dash(i).empty() ? "none" : curve_dash(i));
}

std::string figure(double value) { return value >= 0 ? fmt::format("{:.3f}", value) : "–"; }

std::string percent(double share) {
  if (!(share > 0)) return "0 %";
  return fmt::format("{:.{}f} %", 100 * share, share < 0.0995 ? 1 : 0);
}

std::string swatch(std::string_view colour) { return fmt::format("<i style=\"background:{}\"></i>", colour); }

std::string bar(double share, std::string_view colour) {
  return fmt::format("<span class=\"bar\"><b style=\"width:{:.1f}%;background:{}\"></b></span>",
                     share > 0 ? 100 * std::min(share, 1.0) : 0.0, colour);
}

std::string table(const std::string& head, const std::string& rows, const std::string& foot,
                  size_t row_count) {
  return fmt::format(
      "<div class=\"scroll{}\"><table>\n<thead><tr>{}</tr></thead>\n<tbody>\n{}</tbody>\n{}</table></div>\n",
      row_count > kLongTable ? " tall" : "", head, rows,
      foot.empty() ? "" : fmt::format("<tfoot><tr>{}</tr></tfoot>\n", foot));
}

std::string chart_figure(const std::string& caption, const Chart& chart) {
  return fmt::format("<figure class=\"chart\"><figcaption>{}</figcaption>{}</figure>\n", caption,
                     render_chart(chart));
}

std::string folded(const std::string& summary, const std::string& body) {
  return body.empty() ? "" : fmt::format("<details><summary>{}</summary>\n{}</details>\n", summary, body);
}

std::string charts(std::string_view size, const std::string& figures) {
  return figures.empty() ? "" : fmt::format("<div class=\"charts {}\">\n{}</div>\n", size, figures);
}

namespace {

/// The hash by which the content security policy allows a script, and no other.
std::string script_hash(std::string_view script) {
  const std::string hex = sha256_hex(script);
  std::vector<uint8_t> bytes;
  for (size_t i = 0; i < hex.size(); i += 2)
    bytes.push_back(static_cast<uint8_t>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  return base64(bytes);
}

}  // namespace

std::string html_page(std::string_view title, std::string_view style, std::string_view main,
                      std::string_view script) {
  // The content security policy guarantees that a browser loads nothing and runs no script but the page's
  // own, whatever text the page contains. Elements are closed as in XML, so that the tests can check that the
  // page is well-formed.
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
      "<meta name=\"generator\" content=\"{}\"/>\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
      "<meta name=\"color-scheme\" content=\"light dark\"/>\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; "
      "style-src 'unsafe-inline'; script-src 'sha256-{}'{}\"/>\n<title>{}</title>\n<style>{}{}</style>\n"
      "</head>\n<body>\n<main>\n{}</main>\n<script>{}</script>\n{}</body>\n</html>\n",
      kWrittenHere, script_hash(kPictureScript),
      script.empty() ? "" : fmt::format(" 'sha256-{}'", script_hash(script)), escape_html(title),
      kReportStyle, style, main, kPictureScript,
      script.empty() ? "" : fmt::format("<script>{}</script>\n", script));
}

Chart small_chart(const std::string& label) {
  Chart chart;
  chart.label = label;
  chart.width = 260;
  chart.height = 180;
  return chart;
}

}  // namespace rcnn
