#include "report/overlay.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "report/curve_labels.h"
#include "report/html.h"

namespace rcnn {
namespace {

// A name is written with a height of a 24th of the picture's longer side, 11 pixels in a thumbnail of 265,
// and when the picture is enlarged with .45 of that (see the style sheet).
constexpr double kTextShare = 1.0 / 24, kEnlarged = 0.45;
constexpr size_t kCrowded = 8;                    // with more boxes a thumbnail has only the names of errors
constexpr double kCharacter = 0.62, kLine = 1.2;  // width and height of a character, in font sizes

struct Area {
  double x1, y1, x2, y2;
};

bool touch(const Area& a, const Area& b) { return a.x1 < b.x2 && b.x1 < a.x2 && a.y1 < b.y2 && b.y1 < a.y2; }

/// Where a name is written: from or up to x, above or below y.
struct Place {
  double x, y;
  bool ends, below;

  Area area(double width, double height) const {
    return {ends ? x - width : x, below ? y : y - height, ends ? x : x + width, below ? y + height : y};
  }
};

/// The first place at the box that touches no other name and lies within the picture.
std::optional<Place> free_place(const Box& box, double width, double height, const Image& image,
                                std::vector<Area>& taken) {
  const double x1 = double{box.x1}, y1 = double{box.y1}, x2 = double{box.x2}, y2 = double{box.y2};
  const Place places[] = {{x1, y1, false, false}, {x1, y2, false, true}, {x2, y1, true, false},
                          {x2, y2, true, true},   {x1, y1, false, true}, {x2, y1, true, true},
                          {x1, y2, false, false}, {x2, y2, true, false}, {x2, y1, false, true},
                          {x1, y1, true, true}};
  for (const Place& place : places) {
    const Area area = place.area(width, height);
    const bool inside = area.x1 >= 0 && area.y1 >= 0 && area.x2 <= image.width && area.y2 <= image.height;
    if (!inside || std::any_of(taken.begin(), taken.end(), [&](const Area& t) { return touch(t, area); }))
      continue;
    taken.push_back(area);
    return place;
  }
  return {};
}

const char* class_of(BoxKind kind) {
  switch (kind) {
    case BoxKind::correct:
      return "right";
    case BoxKind::wrong:
      return "wrong";
    case BoxKind::missed:
      return "missed";
    case BoxKind::truth:
      return "truth";
    case BoxKind::ignored:
      return "ignored";
  }
  return "";
}

float area_of(const Box& box) { return (box.x2 - box.x1) * (box.y2 - box.y1); }

bool is_drawable(const Box& box) {
  return std::isfinite(box.x1 + box.y1 + box.x2 + box.y2) && box.x2 >= box.x1 && box.y2 >= box.y1;
}

/// The boxes, the larger ones first, so that the pointer reaches the smaller ones.
std::string render_boxes(const std::vector<ReportBox>& boxes) {
  std::vector<const ReportBox*> order;
  for (const ReportBox& box : boxes) order.push_back(&box);
  std::stable_sort(order.begin(), order.end(),
                   [](const ReportBox* a, const ReportBox* b) { return area_of(a->box) > area_of(b->box); });
  std::string svg;
  for (const ReportBox* box : order) {
    const std::string place =
        fmt::format(R"(x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}")", box->box.x1, box->box.y1,
                    box->box.x2 - box->box.x1, box->box.y2 - box->box.y1);
    svg +=
        fmt::format(R"(<g class="{}"><rect class="edge" {}/><rect {}>)", class_of(box->kind), place, place);
    svg += box->tooltip.empty() ? "</rect></g>"
                                : fmt::format("<title>{}</title></rect></g>", escape_html(box->tooltip));
  }
  return svg;
}

/// The names. Those that a thumbnail does not show, or for which it has no room, are of the class "more",
/// which only the enlarged picture shows; those for which that has no room either are left out.
std::string render_names(const std::vector<ReportBox>& boxes, const Image& image, double size) {
  std::vector<Area> taken, taken_enlarged;
  std::vector<const ReportBox*> later;
  std::string svg;
  const auto width = [](const ReportBox* box, double font) {
    return kCharacter * font * static_cast<double>(utf8_count(box->name));
  };
  const auto write = [&](const ReportBox* box, const Place& place, const char* more) {
    svg += fmt::format(R"(<text class="{}{}" x="{:.1f}" y="{:.1f}" dy="{}em" text-anchor="{}">{}</text>)",
                       class_of(box->kind), more, place.x, place.y, place.below ? ".95" : "-.25",
                       place.ends ? "end" : "start", escape_html(box->name));
  };
  for (const ReportBox& box : boxes) {
    if (box.name.empty()) continue;
    if (boxes.size() > kCrowded && box.kind != BoxKind::wrong && box.kind != BoxKind::missed) {
      later.push_back(&box);
    } else if (const auto place = free_place(box.box, width(&box, size), kLine * size, image, taken)) {
      write(&box, *place, "");
      taken_enlarged.push_back(place->area(width(&box, kEnlarged * size), kLine * kEnlarged * size));
    } else {
      later.push_back(&box);
    }
  }
  for (const ReportBox* box : later)
    if (const auto place = free_place(box->box, width(box, kEnlarged * size), kLine * kEnlarged * size, image,
                                      taken_enlarged))
      write(box, *place, " more");
  return svg;
}

}  // namespace

const std::string_view kPictureScript = R"js(
addEventListener('keydown', function (event) {
  var open = document.querySelector('.zoom input:checked');
  if (!open) return;
  var all = Array.from(document.querySelectorAll('.zoom input'));
  var step = { Escape: 0, ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (step === undefined) return;
  event.preventDefault();
  open.checked = false;
  if (step === 0) return;
  var next = all[(all.indexOf(open) + step + all.length) % all.length];
  for (var fold = next.closest('details'); fold; fold = fold.parentElement.closest('details')) fold.open = true;
  next.checked = true;
  next.focus();
});
)js";

std::string picture_element(const ReportPicture& picture, std::string_view description) {
  const Image image = shrink_to_fit(picture.image, kPictureSide);
  std::vector<ReportBox> boxes = picture.boxes;
  std::erase_if(boxes, [](const ReportBox& box) { return !is_drawable(box.box); });
  if (image.width != picture.image.width) {
    const float scale = static_cast<float>(image.width) / static_cast<float>(picture.image.width);
    for (ReportBox& b : boxes)
      b.box = {b.box.x1 * scale, b.box.y1 * scale, b.box.x2 * scale, b.box.y2 * scale};
  }
  const double size = kTextShare * std::max(image.width, image.height);
  const std::string overlay =
      boxes.empty()
          ? ""
          : fmt::format(R"(<svg viewBox="0 0 {} {}" style="--f:{:.1f}" aria-hidden="true">{}{}</svg>)",
                        image.width, image.height, size, render_boxes(boxes),
                        render_names(boxes, image, size));
  return fmt::format(
      R"(<label class="zoom"><input type="checkbox" aria-label="enlarge"/><span class="picture" )"
      R"(title="click to enlarge">{}{}</span></label>)",
      image_element(image, description), overlay);
}

std::string picture_figure(const ReportPicture& picture, std::string_view description,
                           const std::string& caption, const std::string& more) {
  return fmt::format("<figure>{}<figcaption>{}</figcaption>{}</figure>\n",
                     picture_element(picture, description), caption, more);
}

std::string picture_key() {
  return "<p class=\"key\"><span><i class=\"right\"></i>correct, with confidence</span>"
         "<span><i class=\"wrong\"></i>×: wrong (false positive)</span>"
         "<span><i class=\"missed\"></i>?: missed (false negative)</span></p>\n";
}

}  // namespace rcnn
