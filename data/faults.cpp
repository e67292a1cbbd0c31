#include "data/faults.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "core/text.h"

namespace rcnn {
namespace {

constexpr size_t kShown = 3;  // entries of a kind that are listed

/// The heading of a kind.
const char* heading_of(FaultKind kind) {
  switch (kind) {
    case FaultKind::other:
      return "other faults";
    case FaultKind::other_scale:
      return "images of another scale than their annotations";
    case FaultKind::bad_file:
      return "annotations that cannot be read";
    case FaultKind::missing_image:
      return "missing images";
    case FaultKind::bad_image:
      return "images that cannot be read";
    case FaultKind::undecodable:
      return "images that cannot be decoded";
    case FaultKind::unannotated:
      return "images without an annotation";
    case FaultKind::repeated:
      return "repeated entries";
    case FaultKind::image_size:
      return "sizes in annotations that are missing or not those of the images";
    case FaultKind::reversed_box:
      return "reversed boxes";
    case FaultKind::empty_box:
      return "boxes without area";
    case FaultKind::box_outside:
      return "boxes outside their image";
    case FaultKind::box_partly_outside:
      return "boxes partly outside their image";
    case FaultKind::bad_object:
      return "objects that cannot be read";
    case FaultKind::no_class:
      return "objects without a class";
    case FaultKind::unknown_class:
      return "objects of unknown classes";
    case FaultKind::found_by_name:
      return "images found by their names";
    case FaultKind::exif:
      return "images turned by their EXIF entries";
    case FaultKind::rescaled:
      return "boxes that were scaled";
  }
  return "";
}

/// The lines of faults alone, or of notes alone.
std::string list_entries(const std::vector<const Fault*>& entries, const std::string& what,
                         const FaultListing& listing) {
  std::string text = fmt::format("{}{}{}\n", listing.indent, what, entries.empty() ? "" : ":");
  std::map<FaultKind, std::vector<const Fault*>> by_kind;
  for (const Fault* entry : entries) by_kind[entry->kind].push_back(entry);
  const bool has_headings = entries.size() > kShown;
  const std::string indent = listing.indent + (has_headings ? "    " : "  ");
  for (const auto& [kind, same] : by_kind) {
    if (has_headings) text += fmt::format("{}  {}: {}\n", listing.indent, heading_of(kind), same.size());
    const size_t shown = listing.all ? same.size() : std::min(same.size(), kShown);
    for (size_t i = 0; i < shown; ++i) text += fmt::format("{}{}\n", indent, printable(same[i]->what));
    if (shown < same.size())
      text += fmt::format("{}and {} more like these: `rcnn check --all` lists them\n", indent,
                          same.size() - shown);
  }
  return text;
}

}  // namespace

std::string list_faults(const std::vector<Fault>& entries, const FaultListing& listing) {
  std::vector<const Fault*> faults, notes;
  for (const Fault& entry : entries) (is_note(entry.kind) ? notes : faults).push_back(&entry);
  std::string text;
  if (!faults.empty() || listing.say_none)
    text += list_entries(
        faults, fmt::format("{} fault{} {}", faults.size(), faults.size() == 1 ? "" : "s", listing.where),
        listing);
  if (!notes.empty())
    text += list_entries(
        notes, fmt::format("{} note{} on how the data was read", notes.size(), notes.size() == 1 ? "" : "s"),
        listing);
  return text;
}

}  // namespace rcnn
