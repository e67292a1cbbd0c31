// Pictures of the report as HTML: an image, and over it its boxes with names, which stay sharp when the
// picture is enlarged.
#pragma once

#include <string>
#include <string_view>

#include "report/report.h"

namespace rcnn {

/// A picture that a click or the space key enlarges to the whole window and makes small again; this needs no
/// script. `description` is its alternative text, as plain text. Throws Error for an image without pixels.
std::string picture_element(const ReportPicture& picture, std::string_view description);

/// The picture with a caption (HTML) below it, and after it `more` (HTML).
std::string picture_figure(const ReportPicture& picture, std::string_view description,
                           const std::string& caption, const std::string& more = "");

/// What the lines and colours of boxes mean.
std::string picture_key();

/// Closes an enlarged picture with Escape and shows the next with the arrow keys. It contains no character
/// that XML reserves. The page works without it.
extern const std::string_view kPictureScript;

}  // namespace rcnn
