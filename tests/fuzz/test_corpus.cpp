// Runs every input in tests/fuzz/corpus/ once: the inputs that fuzzers start from, and those that they found.
#include <doctest/doctest.h>

#include <utility>

#include "tests/fuzz/targets.h"

using namespace rcnn;
namespace fs = std::filesystem;

TEST_CASE("fuzz: every file of the corpus is read or refused") {
  const std::pair<const char*, void (*)(const fs::path&)> targets[] = {{"annotation", fuzz::annotation},
                                                                       {"coco", fuzz::coco},
                                                                       {"command_line", fuzz::command_line},
                                                                       {"cvat", fuzz::cvat},
                                                                       {"data_folder", fuzz::data_folder},
                                                                       {"exif", fuzz::exif},
                                                                       {"image", fuzz::image},
                                                                       {"labelme", fuzz::labelme},
                                                                       {"open_images", fuzz::open_images},
                                                                       {"plans", fuzz::plans},
                                                                       {"pth", fuzz::pth},
                                                                       {"pth_old", fuzz::pth_old},
                                                                       {"safetensors", fuzz::safetensors},
                                                                       {"settings", fuzz::settings},
                                                                       {"tf_csv", fuzz::tf_csv},
                                                                       {"via", fuzz::via},
                                                                       {"yolo", fuzz::yolo}};
  for (const auto& [name, target] : targets) {
    const fs::path folder = fs::path("tests/fuzz/corpus") / name;
    REQUIRE_MESSAGE(fs::is_directory(folder),
                    "run the tests from the root of the repository: ", folder.string());
    int read = 0, refused = 0;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
      const std::string file = entry.path().string();
      CAPTURE(file);
      CHECK(entry.file_size() < 4096);  // the corpora stay small
      try {
        target(entry.path());
        ++read;
      } catch (const InputError& error) {
        CHECK(std::string_view(error.what()).size() > 20);
        ++refused;
      }
    }
    CAPTURE(folder.string());
    CHECK(read > 0);
    CHECK(read + refused >= 3);
  }
}
