#include "data/voc.h"

#include <map>
#include <optional>
#include <pugixml.hpp>
#include <set>
#include <sstream>
#include <utility>

#include "core/error.h"
#include "core/files/atomic_file.h"
#include "core/files/look.h"
#include "core/files/output.h"
#include "core/text.h"
#include "data/annotation.h"
#include "data/image_folder.h"
#include "data/image_index.h"
#include "data/inside.h"
#include "data/voc_lists.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;

/// Reads the images of one folder.
class VocReader {
 public:
  VocReader(const fs::path& root, const ReadOptions& options, std::vector<Fault>& faults)
      : root_(root), images_(root / "JPEGImages"), options_(options), faults_(faults) {}

  /// The images with these ids. Those that cannot be used are left out, with the reason among the faults.
  std::vector<AnnotatedImage> read(const std::vector<std::string>& ids) {
    std::vector<Entry> entries;
    for (const std::string& id : ids) try {
        if (std::optional<Entry> entry = find_entry(id)) entries.push_back(std::move(*entry));
      } catch (const InputError& error) {
        faults_.push_back({annotation_path(id), error.what(), FaultKind::bad_file});
      }
    give_up_shared(entries);
    find_lost(entries);
    std::vector<AnnotatedImage> images;
    for (Entry& entry : entries)
      if (std::optional<AnnotatedImage> image = read_one(entry)) images.push_back(std::move(*image));
    return images;
  }

  void report_unannotated() {
    rcnn::report_unannotated(root_ / "JPEGImages", images_.files(), described_, faults_);
  }

 private:
  struct Entry {
    std::string id;
    AnnotatedImage read;        // without the image's header
    bool is_annotated = false;  // otherwise there is neither annotation nor image
    std::string doubt = {};     // see LostImage
  };

  fs::path annotation_path(const std::string& id) const {
    const fs::path found = find_annotation(root_ / "Annotations", id);
    return found.empty() ? root_ / "Annotations" / (id + ".xml") : found;
  }

  /// The images in the folder of an id: "night/a" lies in JPEGImages/night.
  const ImageFolder& folder_of(const std::string& id) {
    const fs::path folder = fs::path(id).parent_path();
    if (folder.empty()) return images_;
    return folders_.try_emplace(folder, root_ / "JPEGImages" / folder).first->second;
  }

  /// Reads the annotation and looks for the image where it should be. Nothing if there is no annotation to
  /// use.
  std::optional<Entry> find_entry(const std::string& id) {
    for (const char* part : {"Annotations", "JPEGImages"})
      check_input(may_read(root_, root_ / part / id, options_), "{} lists '{}', which {}; it is skipped.",
                  root_.string(), printable(id), reason_not_to_read(id));
    Entry entry{id, {}};
    AnnotatedImage& read = entry.read;
    read.id = escaped(id);
    read.image = folder_of(id).find(fs::path(id).filename().string());
    const fs::path xml = annotation_path(id);
    read.annotation.file = xml;
    if (read.image.empty() && find_annotation(root_ / "Annotations", id).empty()) return entry;
    described_.insert(read.image);
    std::optional<Annotation> annotation = read_annotation(xml, faults_);
    if (!annotation) return std::nullopt;
    entry.is_annotated = true;
    read.annotation = std::move(*annotation);
    read.image = folder_of(id).find_described(read.annotation);
    return entry;
  }

  static void give_up_shared(std::vector<Entry>& entries) {
    std::vector<ImageClaim> claims;
    for (const Entry& entry : entries) claims.push_back({entry.read.annotation.file, entry.read.image});
    const std::vector<bool> shared = find_shared_by_name(claims);
    for (size_t i = 0; i < entries.size(); ++i)
      if (shared[i]) entries[i].read.image.clear();
  }

  LostImage lost_image(const std::string& id, const Annotation& annotation) const {
    LostImage lost{annotation.file, annotation.image_name, {id}};
    if (!annotation.image_name.empty())
      lost.paths.push_back((fs::path(id).parent_path() / annotation.image_name).string());
    return lost;
  }

  /// Looks in all folders for the images that are not in JPEGImages. Images of the annotations of other
  /// splits are theirs.
  void find_lost(std::vector<Entry>& entries) {
    std::vector<LostImage> lost;
    std::set<std::string> listed;
    std::set<fs::path> claimed;
    for (const Entry& entry : entries) {
      listed.insert(entry.id);
      if (!entry.read.image.empty())
        claimed.insert(entry.read.image);
      else if (entry.is_annotated)
        lost.push_back(lost_image(entry.id, entry.read.annotation));
    }
    if (lost.empty()) return;
    const size_t own = lost.size();
    for (const std::string& id : find_annotated(root_ / "Annotations"))
      if (const fs::path image = folder_of(id).find(fs::path(id).filename().string()); !image.empty())
        claimed.insert(image);
      else if (!listed.contains(id))
        lost.push_back(lost_image(id, {annotation_path(id), {}, {}, {}}));
    ImageIndex(root_).match(lost, claimed);
    lost.resize(own);
    report_found(root_, lost, faults_);
    auto next = lost.begin();
    for (Entry& entry : entries)
      if (entry.read.image.empty() && entry.is_annotated) {
        entry.read.image = next->found;
        entry.doubt = next++->doubt;
      }
  }

  std::optional<AnnotatedImage> read_one(Entry& entry) {
    AnnotatedImage& read = entry.read;
    const fs::path& xml = read.annotation.file;
    if (read.image.empty()) {
      const fs::path file = root_ / "JPEGImages" / (entry.id + ".jpg");
      report(FaultKind::missing_image, file, "{} does not exist, {}; the image is skipped.", file.string(),
             entry.doubt.empty() ? "nor does an image of another kind with that name" : "and " + entry.doubt);
      return std::nullopt;
    }
    described_.insert(read.image);
    if (const auto [other, is_new] = by_image_.emplace(read.image, xml); !is_new) {
      report(FaultKind::repeated, xml, "{} describes {}, as {} does already; it is skipped.", xml.string(),
             read.image.string(), other->second.string());
      return std::nullopt;
    }
    try {
      read.info = read_image_info(read.image);
    } catch (const InputError& error) {
      faults_.push_back({read.image, error.what(), FaultKind::bad_image});
      return std::nullopt;
    }
    return std::move(read);
  }

  template <class... Args>
  void report(FaultKind kind, const fs::path& file, fmt::format_string<Args...> what, Args&&... args) {
    faults_.push_back({file, fmt::format(what, std::forward<Args>(args)...), kind});
  }

  const fs::path& root_;
  const ImageFolder images_;
  const ReadOptions& options_;
  std::map<fs::path, ImageFolder> folders_;  // inside JPEGImages
  std::vector<Fault>& faults_;
  std::set<fs::path> described_;           // images with an annotation, even one that cannot be read
  std::map<fs::path, fs::path> by_image_;  // their annotations
};

void check_folders(const fs::path& root, bool has_lists) {
  check_input(is_folder(root), "{} is not a folder; expected one in the layout of Pascal VOC.",
              root.string());
  for (const char* part : {"JPEGImages", "Annotations"})
    check_input(is_folder(root / part), "{} lacks the folder {}; expected the layout of Pascal VOC.",
                root.string(), part);
  check_input(!has_lists || is_folder(root / "ImageSets"),
              "{} lacks the folder ImageSets/Main; expected the layout of Pascal VOC.", root.string());
}

}  // namespace

Dataset read_voc(const fs::path& root, const std::string& split, const std::vector<std::string>& classes,
                 const ReadOptions& options) {
  check_folders(root, !split.empty());
  std::vector<Fault> faults;
  VocReader reader(root, options, faults);
  std::vector<AnnotatedImage> images = reader.read(ids_of_split(root, split, faults));
  if (split.empty()) reader.report_unannotated();  // otherwise they may belong to another split
  return make_dataset(
      std::move(images), classes, std::move(faults), root,
      split.empty() ? "the annotated images" : fmt::format("the images of the split '{}'", split), options);
}

void write_voc_annotation(const fs::path& path, const Sample& sample, const std::vector<std::string>& classes,
                          const std::string& image_file_name) {
  pugi::xml_document document;
  pugi::xml_node root = document.append_child("annotation");
  root.append_child(pugi::node_comment).set_value(fmt::format(" {} ", kWrittenHere).c_str());
  const auto add = [](pugi::xml_node parent, const char* name, const auto& value) {
    parent.append_child(name).text().set(fmt::format("{}", value).c_str());
  };
  add(root, "folder", "JPEGImages");
  add(root, "filename", image_file_name);
  pugi::xml_node size = root.append_child("size");
  add(size, "width", sample.width);
  add(size, "height", sample.height);
  add(size, "depth", 3);
  for (const Object& object : sample.objects) {
    check(object.label >= 1 && static_cast<size_t>(object.label) <= classes.size(),
          "write_voc_annotation: {} has an object with label {}; expected 1 to {}.", sample.id, object.label,
          classes.size());
    pugi::xml_node node = root.append_child("object");
    add(node, "name", classes[static_cast<size_t>(object.label - 1)]);
    add(node, "difficult", object.difficult ? 1 : 0);
    pugi::xml_node box = node.append_child("bndbox");
    add(box, "xmin", double{object.box.x1} + 1);
    add(box, "ymin", double{object.box.y1} + 1);
    add(box, "xmax", object.box.x2);
    add(box, "ymax", object.box.y2);
  }
  std::ostringstream xml;
  document.save(xml, "  ", pugi::format_default | pugi::format_no_declaration);
  const std::string text = xml.str();
  write_atomically(path, text, Sync::no);
}

}  // namespace rcnn
