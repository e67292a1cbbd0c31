// `rcnn summary`: lists weights files of both formats, refuses other files, and lists the layers of models.
#include <doctest/doctest.h>

#include <sstream>

#include "core/files/safetensors.h"
#include "tests/core/files/pth_fixtures.h"
#include "tests/program.h"

using namespace rcnn;
using namespace rcnn::fixtures;

TEST_CASE("summary: lists the tensors of a file of either format by name, with totals") {
  const auto program = find_program();
  if (program.empty()) return;
  const TemporaryFolder folder;
  const std::string one = (folder / "one.pth").string(), two = (folder / "two.safetensors").string();
  write_pth(
      one,
      py_pickle(py_dict({{"fc.weight", py_tensor(py_storage("HalfStorage", "0", 1200), 0, {300, 4}, {4, 1})},
                         {"a\x1B[2Jb", py_tensor(py_storage("LongStorage", "1", 1), 0, {}, {})}})),
      {std::string(2400, '\0'), std::string(8, '\0')});
  const Finished pth = run_program(program, {"summary", "--weights", one});
  CHECK(pth.status == 0);
  CHECK(pth.err.empty());
  CHECK(pth.out ==
        "tensor       type  shape     elements\n"
        "a\\u001b[2Jb  I64   ()               1\n"
        "fc.weight    F16   (300, 4)     1,200\n"
        "\n" +
            one +
            ": 2 tensors, 1,201 elements, 2,408 bytes\n"
            "  F16: 1 tensor, 1,200 elements, 2,400 bytes\n"
            "  I64: 1 tensor, 1 element, 8 bytes\n");

  write_safetensors(two, {{"b", Tensor::zeros({2, 0}, DType::f32)}, {"a", Tensor::zeros({3}, DType::f32)}},
                    {});
  const Finished safe = run_program(program, {"summary", "--weights", two});
  CHECK(safe.status == 0);
  CHECK(safe.out ==
        "tensor  type  shape   elements\n"
        "a       F32   (3)            3\n"
        "b       F32   (2, 0)         0\n"
        "\n" +
            two + ": 2 tensors, 3 elements, 12 bytes\n");

  write_safetensors(two, {}, {});
  CHECK(run_program(program, {"summary", "--weights", two}).out ==
        two + ": 0 tensors, 0 elements, 0 bytes\n");
}

TEST_CASE("summary: says which model a file holds, and its classes") {
  const auto program = find_program();
  if (program.empty()) return;
  const TemporaryFolder folder;
  const std::string file = (folder / "model.safetensors").string();
  const auto listed = [&] { return run_program(program, {"summary", "--weights", file}); };
  write_safetensors(
      file, {{"a", Tensor::zeros({3}, DType::f32)}},
      {{"format", "rcnn.cu 1"}, {"model.model", "nano-fpn"}, {"classes", R"(["cat", "a\u001b[2J"])"}});
  CHECK(
      listed().out.ends_with(": 1 tensor, 3 elements, 12 bytes\n"
                             "  nano-fpn for 2 classes: cat, a\\x1B[2J\n"));
  write_safetensors(file, {{"a", Tensor::zeros({3}, DType::f32)}},
                    {{"model.model", "nano-fpn"}, {"classes", "cat"}});
  CHECK(listed().status == 2);
  CHECK(contains(listed().err, "'classes' is not a list of names"));
}

TEST_CASE("bench model: with --json standard output is JSON alone, and the profile goes to standard error") {
  const auto program = find_program();
  if (program.empty()) return;
  const Finished timed =
      run_program(program, {"bench", "model", "--json", "--profile", "--what", "dense", "--steps", "1",
                            "--warm-up", "0", "--height", "32", "--width", "32", "--device", "cpu"});
  CHECK(timed.status == 0);
  std::istringstream lines(timed.out);
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) CHECK(line.starts_with("{\"what\": "));
  CHECK(count == 2);
  CHECK(contains(timed.err, "all ops"));
}

TEST_CASE("summary: a faulty file is refused with one sentence") {
  const auto program = find_program();
  if (program.empty()) return;
  const TemporaryFolder folder;
  const auto refusal = [&](const std::string& file) {
    const Finished result = run_program(program, {"summary", "--weights", file});
    CHECK(result.status == 2);
    CHECK(result.out.empty());
    CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
    CHECK(contains(result.err, file));
    return result.err;
  };
  const std::string file = (folder / "file.pth").string();
  CHECK(contains(refusal(file), "docs/weights.md"));
  CHECK(contains(refusal(folder.path().string()), "not a regular file"));
  write_pth(file, py_pickle(py_call(py_global("os", "system"), {py_text("true")})), {});
  CHECK(contains(refusal(file), "names \"os.system\""));
  write_text(file, "not weights");
  CHECK(contains(refusal(file), "is a text file and not weights"));
  const Finished nothing = run_program(program, {"summary"});
  CHECK(nothing.status == 2);
  CHECK(contains(nothing.err, "expected the name of a model or --weights FILE"));
}

TEST_CASE("summary: lists a .pth file that was written by another project") {
  const auto program = find_program();
  const std::filesystem::path path = real_data("weights") / "shufflenetv2.pth";
  if (program.empty() || !std::filesystem::exists(path)) return;
  const Finished listed = run_program(program, {"summary", "--weights", path.string()});
  CHECK(listed.status == 0);
  CHECK(contains(listed.out, "\nfirst_conv.0.weight "));
  CHECK(contains(listed.out, " F32   (24, 3, 3, 3)        648\n"));
  CHECK(contains(listed.out, ": 330 tensors, 149,095 elements, 596,600 bytes\n"));
}

TEST_CASE("summary: lists the layers of a model, its totals and its settings") {
  const auto program = find_program();
  if (program.empty()) return;
  const Finished model =
      run_program(program, {"summary", "nano-fpn", "--height", "64", "--width", "96", "--classes", "3"});
  CHECK(model.status == 0);
  CHECK(model.out.starts_with("nano-fpn for 3 classes, one image of 64 x 96, 200 RoIs\n"));
  // The convolution has 32 x 48 x 16 outputs of 27 products each.
  CHECK(contains(model.out,
                 "backbone.body.conv1                      conv2d                   32x48x16         432"));
  CHECK(contains(model.out, "Settings of the profile torchvision:\n"));
  const Finished caffe = run_program(
      program, {"summary", "nano-fpn", "--height", "64", "--width", "96", "--profile", "caffe2015"});
  CHECK(caffe.status == 0);
  CHECK(contains(caffe.out, "  rpn-scores = softmax\n"));
  for (const std::string& text : {model.out, caffe.out})
    for (size_t begin = 0, end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1)
      CHECK(end - begin <= 100);
  const Finished both = run_program(program, {"summary", "--weights", "x.pth", "--profile", "caffe2015"});
  CHECK(both.status == 2);
  CHECK(contains(both.err, "--profile: with --weights the file is listed as it is"));
  const Finished none = run_program(program, {"summary"});
  CHECK(none.status == 2);
  CHECK(contains(none.err, "expected the name of a model or --weights FILE; models: nano-fpn, "));
}

TEST_CASE("summary: an option overrides the profile, and settings that depend on it follow") {
  const auto program = find_program();
  if (program.empty()) return;
  const Finished half = run_program(program, {"summary", "vgg16", "--height", "64", "--width", "96",
                                              "--profile", "caffe2015", "--short-side", "300"});
  CHECK(half.status == 0);
  CHECK(contains(half.out, "  short-side = 300\n  long-side = 500\n"));  // half of the profile's 600 and 1000
  const Finished grey = run_program(
      program, {"summary", "nano-fpn", "--height", "64", "--width", "96", "--image-mean", "0,0,0"});
  CHECK(contains(grey.out, "  image-mean = 0,0,0\n"));
  CHECK(contains(run_program(program, {"summary", "nano-fpn", "--image-std", "0,1,1"}).err,
                 "image-std: expected a number from"));
}
