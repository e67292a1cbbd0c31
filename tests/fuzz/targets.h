// The fuzz targets. Each passes a file of arbitrary content to one of the readers of untrusted files. An
// InputError is the normal outcome. Any other exception, a sanitizer's report, a hang or excessive use of
// memory is a finding.
//
// `make fuzz` builds one program per target (tests/fuzz/libfuzzer/entry.cpp). The ordinary tests run every
// target on its corpus (tests/fuzz/test_corpus.cpp).
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

#include "core/error.h"

namespace rcnn::fuzz {

// clang-format off
void annotation(const std::filesystem::path& file);   // Pascal VOC's XML
void coco(const std::filesystem::path& file);         // COCO's JSON, ground truth and results
void command_line(const std::filesystem::path& file); // a word of the command line per line
void cvat(const std::filesystem::path& file);         // CVAT's XML
void data_folder(const std::filesystem::path& file);  // the files of a folder of labelled images
void exif(const std::filesystem::path& file);         // an EXIF block
void image(const std::filesystem::path& file);        // JPEG and PNG
void labelme(const std::filesystem::path& file);      // labelme's JSON
void open_images(const std::filesystem::path& file);  // Open Images' CSV
void plans(const std::filesystem::path& file);        // plans of `lab tune`
void pth(const std::filesystem::path& file);          // PyTorch's .pth, or the pickle of one
void pth_old(const std::filesystem::path& file);      // PyTorch's .pth of before version 1.6, or its second half
void safetensors(const std::filesystem::path& file);
void settings(const std::filesystem::path& file);     // TOML
void tf_csv(const std::filesystem::path& file);       // TensorFlow's CSV
void via(const std::filesystem::path& file);          // VIA's JSON
void yolo(const std::filesystem::path& file);         // YOLO's labels and data.yaml
// clang-format on

/// A file with the given bytes that has a path but exists only in memory.
class MemoryFile {
 public:
  explicit MemoryFile(std::span<const std::byte> bytes) : id_(::memfd_create("input", 0)) {
    check(id_ >= 0, "a file in memory cannot be created");
    while (!bytes.empty()) {
      const ssize_t written = ::write(id_, bytes.data(), bytes.size());
      check(written > 0, "a file in memory cannot be written");
      bytes = bytes.subspan(static_cast<size_t>(written));
    }
  }
  ~MemoryFile() { ::close(id_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  std::filesystem::path path() const { return "/proc/self/fd/" + std::to_string(id_); }

 private:
  int id_;
};

}  // namespace rcnn::fuzz
