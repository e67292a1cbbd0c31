#include "train/fingerprint.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include "core/files/output.h"
#include "core/files/sha256.h"
#include "core/files/source_file.h"

namespace rcnn {
namespace {

constexpr size_t kDigits = 16, kPiece = 4096;

template <class T>
std::span<const std::byte> bytes_of(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

std::string image_digest(const std::filesystem::path& path) {
  const SourceFile file(path);
  Sha256 digest;
  const uint64_t size = file.size(), piece = std::min<uint64_t>(size, kPiece);
  std::vector<std::byte> bytes(piece);
  digest.update(bytes_of(size));
  for (const uint64_t at : {uint64_t{0}, size - piece}) {
    file.read(at, bytes.data(), bytes.size());
    digest.update(bytes);
  }
  return digest.hex().substr(0, kDigits);
}

std::string annotation_digest(const Dataset& dataset, const Sample& sample) {
  Sha256 digest;
  for (const Object& object : sample.objects) {
    for (const float side : {object.box.x1, object.box.y1, object.box.x2, object.box.y2})
      digest.update(bytes_of(side));
    digest.update(fmt::format(" {} {}\n", is_ignored(object),
                              dataset.classes.at(static_cast<size_t>(object.label - 1))));
  }
  return digest.hex().substr(0, kDigits);
}

struct Line {
  std::string_view image, annotations;
};

/// The lines by id, and the ids in order.
struct Lines {
  std::map<std::string_view, Line> by_id;
  std::vector<std::string_view> order;

  explicit Lines(std::string_view text) {
    while (!text.empty()) {
      const size_t end = std::min(text.find('\n'), text.size());
      const std::string_view line = text.substr(0, end);
      text.remove_prefix(std::min(end + 1, text.size()));
      if (line.starts_with('#') || line.size() < 2 * kDigits + 2) continue;
      const std::string_view id = line.substr(2 * kDigits + 2);
      by_id[id] = {line.substr(0, kDigits), line.substr(kDigits + 1, kDigits)};
      order.push_back(id);
    }
  }
};

/// "removed: a, b, c (12 images)"
void add(std::vector<std::string>& sentences, const char* what, const std::vector<std::string_view>& ids) {
  constexpr size_t kShown = 3;
  if (ids.empty()) return;
  std::string text = fmt::format("{}: ", what);
  for (size_t i = 0; i < std::min(kShown, ids.size()); ++i)
    text += fmt::format("{}{}", i ? ", " : "", ids[i]);
  sentences.push_back(fmt::format("{}{} ({} image{})", text, ids.size() > kShown ? ", ..." : "", ids.size(),
                                  ids.size() == 1 ? "" : "s"));
}

}  // namespace

std::string Fingerprint::sha256() const { return sha256_hex(text); }

Fingerprint fingerprint_of(const Dataset& dataset) {
  Fingerprint print{fmt::format("# {}: the training images when the run began\n", kWrittenHere)};
  for (const Sample& sample : dataset.samples)
    print.text +=
        fmt::format("{} {} {}\n", image_digest(sample.image), annotation_digest(dataset, sample), sample.id);
  return print;
}

std::filesystem::path fingerprint_file(const std::filesystem::path& out) { return out / "data.txt"; }

std::vector<std::string> differences(const std::string& before, const std::string& now) {
  const Lines old_lines(before), new_lines(now);
  std::vector<std::string_view> removed, added, changed, annotated;
  for (const std::string_view id : old_lines.order) {
    const Line& line = old_lines.by_id.at(id);
    const auto found = new_lines.by_id.find(id);
    if (found == new_lines.by_id.end()) {
      removed.push_back(id);
      continue;
    }
    if (found->second.image != line.image) changed.push_back(id);
    if (found->second.annotations != line.annotations) annotated.push_back(id);
  }
  for (const std::string_view id : new_lines.order)
    if (!old_lines.by_id.contains(id)) added.push_back(id);
  std::vector<std::string> sentences;
  add(sentences, "removed", removed);
  add(sentences, "added", added);
  add(sentences, "other pixels", changed);
  add(sentences, "other annotations", annotated);
  if (sentences.empty() && old_lines.order != new_lines.order) sentences.emplace_back("in another order");
  return sentences;
}

}  // namespace rcnn
