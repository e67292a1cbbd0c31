// The pieces of HTML that the report is made of. Text is taken as HTML unless said otherwise.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "data/image.h"
#include "report/chart.h"

namespace rcnn {

/// Text as HTML, for between tags and inside quoted attributes: & < > " ' become entities, and control
/// characters U+FFFD.
std::string escape_html(std::string_view text);

/// Plain text as HTML, with the program's options in it ("--short-side") set as code, in one piece.
std::string advice_html(std::string_view sentence);

/// RFC 4648, with padding.
std::string base64(std::span<const uint8_t> bytes);

/// The image as a "data:" address: a JPEG of high quality, a tenth of a PNG's size for photographs. Throws
/// Error for an image without pixels.
std::string image_address(const Image& image);

/// The image at its own size; `description` is plain text, for who cannot see it.
std::string image_element(const Image& image, std::string_view description);

inline constexpr const char* kAccent = "#1d4ed8";
inline constexpr const char* kSecond = "#fb6f24";
inline constexpr const char* kThird = "#0d9488";
/// The colour of a class, as its boxes have it.
std::string css_colour(int label);
/// A square of this colour, before a name.
std::string swatch(std::string_view colour);
/// A small bar, `share` of 1 long.
std::string bar(double share, std::string_view colour);
/// "0.375"; "–" for NaN and below 0.
std::string figure(double value);
/// "37 %", "4.2 %".
std::string percent(double share);

/// A table of `row_count` rows that scrolls sideways where it is too wide, and downwards where it is long.
std::string table(const std::string& head, const std::string& rows, const std::string& foot,
                  size_t row_count);
inline constexpr size_t kLongTable = 20;  // rows

inline constexpr size_t kMaxOverlaid = 8;  // curves in one chart that can be told apart
std::string chart_figure(const std::string& caption, const Chart& chart);
/// Charts beside one another: "large" or "small".
std::string charts(std::string_view size, const std::string& figures);
/// A small chart's proportions. `label` is plain text.
Chart small_chart(const std::string& label);

/// The page's style sheet.
extern const std::string_view kReportStyle;

}  // namespace rcnn
