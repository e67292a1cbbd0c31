#include "data/orientation.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/error.h"

namespace rcnn {
namespace {

/// The image is first mirrored in the stored frame; then rows and columns are exchanged.
struct Turn {
  bool mirror_x, mirror_y, exchange;
};

Turn turn_of(int orientation) {
  constexpr Turn kTurns[] = {
      {false, false, false}, {true, false, false}, {true, true, false}, {false, true, false},
      {false, false, true},  {false, true, true},  {true, true, true},  {true, false, true},
  };
  check(orientation >= 1 && orientation <= 8, "The EXIF orientation is {}; expected 1 to 8.", orientation);
  return kTurns[orientation - 1];
}

enum class Tells { nothing, seen, stored };

Tells what_size_tells(const SizeClaim& claim) {
  const ImageInfo& image = claim.image;
  if (image.seen == image.stored) return Tells::nothing;
  if (claim.said == image.seen) return Tells::seen;
  return claim.said == image.stored ? Tells::stored : Tells::nothing;
}

}  // namespace

ImageSize turn_size(ImageSize stored, int orientation) {
  return turn_of(orientation).exchange ? ImageSize{stored.height, stored.width} : stored;
}

int inverse_orientation(int orientation) {
  turn_of(orientation);  // checks it
  return orientation == 6 ? 8 : orientation == 8 ? 6 : orientation;
}

Image turn_image(const Image& stored, int orientation) {
  const Turn turn = turn_of(orientation);
  const ImageSize size = turn_size({stored.width, stored.height}, orientation);
  Image seen(size.width, size.height);
  for (int y = 0; y < stored.height; ++y)
    for (int x = 0; x < stored.width; ++x) {
      const int u = turn.mirror_x ? stored.width - 1 - x : x;
      const int v = turn.mirror_y ? stored.height - 1 - y : y;
      std::memcpy(turn.exchange ? seen.pixel(v, u) : seen.pixel(u, v), stored.pixel(x, y), 3);
    }
  return seen;
}

Box turn_box(const Box& box, int orientation, ImageSize stored) {
  const Turn turn = turn_of(orientation);
  const auto w = static_cast<float>(stored.width), h = static_cast<float>(stored.height);
  Box turned = box;
  if (turn.mirror_x) turned = {w - turned.x2, turned.y1, w - turned.x1, turned.y2};
  if (turn.mirror_y) turned = {turned.x1, h - turned.y2, turned.x2, h - turned.y1};
  if (turn.exchange) turned = {turned.y1, turned.x1, turned.y2, turned.x2};
  return turned;
}

ExifBoxes parse_exif_boxes(const std::string& word) {
  if (word == "seen") return ExifBoxes::seen;
  if (word == "stored") return ExifBoxes::stored;
  check_input(word == "auto", "--exif-boxes is '{}'; expected auto, seen or stored.", word);
  return ExifBoxes::automatic;
}

BoxFrames find_box_frames(std::span<const SizeClaim> images, ExifBoxes option) {
  const auto count = [&](Tells told) {
    return std::count_if(images.begin(), images.end(),
                         [&](const SizeClaim& claim) { return what_size_tells(claim) == told; });
  };
  const auto stored = count(Tells::stored), seen = count(Tells::seen);
  BoxFrames frames;
  frames.turned.reserve(images.size());
  for (size_t i = 0; i < images.size(); ++i) {
    const Tells told = what_size_tells(images[i]);
    if (images[i].image.orientation == 1) {
      frames.turned.push_back(false);
    } else if (option != ExifBoxes::automatic) {
      frames.turned.push_back(option == ExifBoxes::stored);
    } else if (told != Tells::nothing) {
      frames.turned.push_back(told == Tells::stored);
    } else {
      frames.turned.push_back(stored > seen);
      if (stored == seen) frames.uncertain.push_back(i);
    }
  }
  return frames;
}

Fault uncertain_frames_note(const std::filesystem::path& root, size_t count,
                            const std::filesystem::path& first) {
  return {root,
          fmt::format(
              "{}: the EXIF entry turns {} image{} ({}{}) whose size{} not tell whether the boxes "
              "were drawn before or after turning; they are taken as drawn on the image as it is "
              "seen, and --exif-boxes stored takes them as drawn before; `rcnn check --out DIR` draws both.",
              root.string(), count, count == 1 ? "" : "s", first.filename().string(),
              count == 1 ? "" : " is the first", count == 1 ? " does" : "s do"),
          FaultKind::exif};
}

Fault turned_boxes_note(const std::filesystem::path& annotation, const std::filesystem::path& image,
                        const SizeClaim& claim, ExifBoxes option) {
  const ImageSize stored = claim.image.stored;
  std::string reason = "it gives the size before turning";
  if (option == ExifBoxes::stored)
    reason = "as --exif-boxes says";
  else if (what_size_tells(claim) == Tells::nothing)
    reason = "as for the dataset's other turned images";
  return {annotation,
          fmt::format("{} describes {} as it is stored, {} x {}, not turned by its EXIF orientation {} ({}); "
                      "its boxes were turned with the image.",
                      annotation.string(), image.filename().string(), stored.width, stored.height,
                      claim.image.orientation, reason),
          FaultKind::exif};
}

}  // namespace rcnn
