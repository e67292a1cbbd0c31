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
  write_text(folder / "old.pth", "\x80\x02\x8A\nl\xFC\x9C\x46\xF9 j\xA8P\x19.");
  CHECK(contains(input_error([&] { read_weights_file(folder / "old.pth"); }), "before version 1.6"));
  write_text(folder / "text", "PK");
  CHECK(contains(input_error([&] { read_weights_file(folder / "text"); }), "not a safetensors file"));
  CHECK(contains(input_error([&] { read_weights_file(folder.path()); }), "not a regular file"));
  const std::string missing = input_error([&] { read_weights_file(folder / "none.pth"); });
  CHECK(contains(missing, "none.pth"));
  CHECK(contains(missing, "docs/weights.md"));
}
