#include "core/files/weights_file.h"

#include "tests/core/files/pth_fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;

TEST_CASE("weights file: formats are told apart by content, and a missing file says where to look") {
  const TemporaryFolder folder;
  write_pth(folder / "a.safetensors",
            py_pickle(py_dict({{"a", py_tensor(py_storage("ByteStorage", "0", 2), 0, {2}, {1})}})), {"xy"});
  CHECK(read_weights_file(folder / "a.safetensors").tensors.count("a") == 1);
  write_safetensors(folder / "b.pth", {{"b", Tensor::zeros({2}, DType::f32)}}, {{"k", "v"}});
  CHECK(read_weights_file(folder / "b.pth").metadata.at("k") == "v");
  write_text(
      folder / "old.pt",
      old_pth(py_pickle(py_dict({{"c", py_tensor(py_old_storage("ByteStorage", "9", 2), 0, {2}, {1})}})),
              {{"9", 2, "xy"}}));
  CHECK(read_weights_file(folder / "old.pt").tensors.count("c") == 1);
  write_text(folder / "noise", std::string("\xE5\x01\x80\x13\x44\x00\x10\x20", 8));
  CHECK(contains(input_error([&] { read_weights_file(folder / "noise"); }), "not a safetensors file"));
  CHECK(contains(input_error([&] { read_weights_file(folder.path()); }), "not a regular file"));
  const std::string missing = input_error([&] { read_weights_file(folder / "none.pth"); });
  CHECK(contains(missing, "none.pth"));
  CHECK(contains(missing, "docs/weights.md"));
}

TEST_CASE("weights file: what is not weights is called what it is") {
  const TemporaryFolder folder;
  const auto refusal = [&](const std::string& bytes) {
    write_text(folder / "file.pth", bytes);
    const std::string sentence = input_error([&] { read_weights_file(folder / "file.pth"); });
    CHECK(contains(sentence, "file.pth "));
    CHECK_FALSE(contains(sentence, "\n"));
    CHECK(sentence.back() == '.');
    return sentence;
  };
  for (const char* page : {"<!DOCTYPE html><html>quota exceeded</html>", "\xEF\xBB\xBF\n <HTML>\n<head>",
                           "<?xml version=\"1.0\"?><Error>AccessDenied</Error>", "<!-- a page -->"})
    CHECK(contains(refusal(page), "is a web page (HTML) and not weights"));
  const std::string lines = "version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 123456\n";
  const std::string pointer = refusal(lines);
  CHECK(contains(pointer, fmt::format("is a Git LFS pointer: {} bytes of text", lines.size())));
  CHECK(contains(pointer, "the real file, which has 123456 bytes"));
  CHECK(contains(pointer, "git lfs pull"));
  CHECK(contains(refusal(std::string("\x89HDF\r\n\x1A\n\0\0", 10)), "is an HDF5 file (.h5)"));
  CHECK(contains(refusal(std::string("\x80\x04\x95\xB4\0\0\0\0\0\0\0}", 12)), "is a Python pickle (.pkl)"));
  CHECK(contains(refusal("\x80\x02}q."), "is a Python pickle (.pkl)"));
  CHECK(contains(refusal(std::string("\x08\x07\x12\x07pytorch\x1A\x05", 13)), "is an ONNX model"));
  CHECK(contains(refusal(std::string("\x1C\0\0\0TFL3\x14\0", 10)), "is a TensorFlow Lite model"));
  CHECK(contains(refusal(std::string("\x1F\x8B\x08\0", 4)), "compressed with gzip"));
  CHECK(contains(refusal("\xFF\xD8\xFF\xE0"), "is a JPEG image"));
  CHECK(contains(refusal(std::string("pickle") + std::string(251, '\0') + "ustar" + std::string(300, '\0')),
                 "is a tar archive"));
  CHECK(contains(refusal("{\"message\": \"Not Found\"}"), "is a JSON text and not weights"));
  CHECK(contains(refusal("PK"), "is a text file and not weights"));
  CHECK(contains(refusal(""), "is empty"));
}

TEST_CASE("weights file: a safetensors file is never taken for something else") {
  // The length of the header decides the first bytes, which may look like another format's.
  const TemporaryFolder folder;
  for (const size_t name : {size_t{1}, size_t{20}, size_t{100}}) {
    for (size_t more = 0; more < 300; ++more) {
      const std::string file = (folder / "a").string();
      write_safetensors(file, {{std::string(name, 'n'), Tensor::zeros({1}, DType::f32)}},
                        {{"key", std::string(more, 'x')}});
      CHECK(read_weights_file(file).tensors.size() == 1);
    }
  }
}
