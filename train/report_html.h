// The pieces of HTML that train/report.cpp is made of.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "data/image.h"

namespace rcnn {

/// Text as HTML, for between tags and inside quoted attributes: & < > " ' become entities, and control
/// characters U+FFFD.
std::string escape_html(std::string_view text);

/// RFC 4648, with padding.
std::string base64(std::span<const uint8_t> bytes);

/// The image as a "data:" address: a JPEG of high quality, a tenth of a PNG's size for photographs. Throws
/// Error for an image without pixels.
std::string image_address(const Image& image);

/// The page's style sheet.
extern const std::string_view kReportStyle;

}  // namespace rcnn
