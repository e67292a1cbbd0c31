// The HTML elements that the report is made of. String arguments are HTML unless stated otherwise.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "data/image.h"
#include "report/chart.h"

namespace rcnn {

/// Escapes plain text for use between tags and inside quoted attributes: & < > " ' become entities, and
/// control characters and bytes that are not UTF-8 are shown as \xHH (`printable`, core/text.h).
std::string escape_html(std::string_view text);

/// Plain text as HTML, in which the program's options ("--short-side") are set as code.
std::string advice_html(std::string_view sentence);

/// RFC 4648, with padding.
std::string base64(std::span<const uint8_t> bytes);

/// The image as a "data:" address with a JPEG of high quality, which for photographs has a tenth of the size
/// of a PNG. Throws Error for an image without pixels.
std::string image_address(const Image& image);

/// An <img> element with the image at its own size. `description` is its alternative text, as plain text.
std::string image_element(const Image& image, std::string_view description);

// Colours of the page's style sheet, which has them for light and for dark pages.
inline constexpr const char* kAccent = "var(--c1)";
inline constexpr const char* kSecond = "var(--c2)";
inline constexpr const char* kThird = "var(--c3)";
/// The colour, and the pattern of dashes (`ChartLine::dash`), of curve i of a chart, from 0. They repeat
/// after kMaxOverlaid curves.
std::string curve_colour(size_t i);
std::string curve_dash(size_t i);
/// A short piece of curve i, to be put before a name.
std::string curve_key(size_t i);
/// A small square of this colour, to be put before a name.
std::string swatch(std::string_view colour);
/// A small bar that is filled up to `share`, from 0 to 1.
std::string bar(double share, std::string_view colour);
/// "0.375"; "–" for NaN and negative values.
std::string figure(double value);
/// "37 %", "4.2 %".
std::string percent(double share);

/// A table of `row_count` rows that scrolls horizontally if it is too wide, and vertically if it is long.
std::string table(const std::string& head, const std::string& rows, const std::string& foot,
                  size_t row_count);
inline constexpr size_t kLongTable = 20;  // rows

inline constexpr size_t kMaxOverlaid = 8;  // more curves in one chart cannot be distinguished
std::string chart_figure(const std::string& caption, const Chart& chart);
/// `body` under a heading that unfolds it. `summary` is HTML.
std::string folded(const std::string& summary, const std::string& body);
/// Charts side by side. `size` is "large" or "small".
std::string charts(std::string_view size, const std::string& figures);
/// An empty chart with the proportions of a small one. `label` is plain text.
Chart small_chart(const std::string& label);

/// A whole page with this content of <main>. A content security policy guarantees that a browser loads
/// nothing and runs no script but that of enlarged pictures and `script`, whatever text the page contains.
/// `title` is plain text, `style` is added to the style sheet. Elements are closed as in XML, so that the
/// tests can check that the page is well-formed. `script` runs after the content; it may contain no character
/// that XML reserves.
std::string html_page(std::string_view title, std::string_view style, std::string_view main,
                      std::string_view script = {});

/// The page's style sheet.
extern const std::string_view kReportStyle;

}  // namespace rcnn
