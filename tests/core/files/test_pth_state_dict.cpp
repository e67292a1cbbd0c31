// Which tensors are taken from the pickle of a .pth file, and what may be beside them.
#include "tests/core/files/pth_files.h"

using namespace rcnn;
using namespace rcnn::fixtures;

TEST_CASE("pth: a model's OrderedDict, parameters, a checkpoint's dict around it, and sizes as torch.Size") {
  const std::vector<std::string> storage = {elements<float>({1, 2, 3, 4, 5, 6})};
  const std::string tensor = py_tensor(kSix, 0, {6}, {1});
  const std::string parameter =
      py_call(py_global("torch._utils", "_rebuild_parameter"), {tensor, "\x88", py_ordered_dict()});
  const std::string ordered = py_dict({{"w", parameter}}, py_ordered_dict()) +
                              py_dict({{"_metadata", py_dict({{"", py_dict({{"version", py_int(1)}})}})}}) +
                              "b";
  CHECK(floats(read(ordered, storage), "w") == std::vector<float>{1, 2, 3, 4, 5, 6});

  const std::string arguments =
      std::string("cargparse\nNamespace\n)\x81", 22) + py_dict({{"lr", "G12345678"}, {"resume", "N"}}) + "b";
  const std::string schedule =
      py_dict({{"milestones", py_call(py_global("collections", "Counter"), {"}(K\x10K\1u"})},
               {"gamma", "G12345678"}});
  const std::string optimizer = py_dict({{"state", py_dict({{"x", tensor}})}, {"param_groups", "](K\1K\2e"}});
  for (const char* place : {"model", "state_dict", "model_state_dict"}) {
    const SafetensorsFile file = read(py_dict({{"optimizer", optimizer},
                                               {"lr_scheduler", schedule},
                                               {place, ordered},
                                               {"args", arguments},
                                               {"epoch", py_int(25)}}),
                                      storage);
    CHECK(file.tensors.size() == 1);
    CHECK(floats(file, "w").size() == 6);
  }
  // A tensor may be called "model".
  CHECK(read(py_dict({{"model", tensor}}), storage).tensors.count("model") == 1);
  CHECK(read("}", {}).tensors.empty());

  const std::string size = py_call(py_global("torch", "Size"), {py_ints({2, 3})});
  const std::string by_size = py_call(py_global("torch._utils", "_rebuild_tensor_v2"),
                                      {kSix, py_int(0), size, py_ints({3, 1}), "\x89", py_ordered_dict()});
  CHECK(read(py_dict({{"w", by_size}}), storage).tensors.at("w").shape() == Shape{2, 3});
}

TEST_CASE("pth: what training programs write beside the tensors is left out") {
  const std::string tensor = py_tensor(kSix, 0, {6}, {1});
  const std::string storage = elements<float>({1, 2, 3, 4, 5, 6});
  const std::string path = py_call(py_global("pathlib", "PosixPath"), {py_text("/"), py_text("runs")});
  // A number of NumPy, with its type and its bytes.
  const std::string type = py_call(py_global("numpy", "dtype"), {py_text("f8"), "\x89", "\x88"}) +
                           py_tuple({py_int(3), py_text("<"), "N"}) + "b";
  const std::string score = py_call(py_global("numpy.core.multiarray", "scalar"),
                                    {type, py_call(py_global("_codecs", "encode"), {py_text("x")})});
  const std::string counts =
      py_call(py_global("collections", "defaultdict"), {py_global("__builtin__", "list")}) + "K\1K\2s";
  const std::string arguments =
      "cargparse\nNamespace\n)" + std::string("\x81") + py_dict({{"out", path}, {"best", score}}) + "b";
  for (const std::string& beside : {path, score, counts, arguments, std::string("N"), std::string("\x88"),
                                    py_int(25), py_text("coco"), py_tuple({path, score}), std::string("]")}) {
    CHECK(read(py_dict({{"x", beside}, {"w", tensor}, {"y", beside}}), {storage}).tensors.size() == 1);
    const SafetensorsFile file = read(
        py_dict({{"args", beside}, {"state_dict", py_dict({{"w", tensor}, {"epoch", beside}})}}), {storage});
    CHECK(file.tensors.size() == 1);
    CHECK(floats(file, "w").size() == 6);
  }
}

TEST_CASE("pth: without a dict under a usual name, those at the top are read, except the optimiser's") {
  const std::string tensor = py_tensor(kSix, 0, {6}, {1});
  const SafetensorsFile file = read(py_dict({{"epoch", py_int(1)},
                                             {"optimizer", py_dict({{"momentum", tensor}})},
                                             {"net", py_dict({{"w", tensor}})},
                                             {"ema", py_dict({{"w", tensor}, {"deeper", "}"}})}}),
                                    {elements<float>({1, 2, 3, 4, 5, 6})});
  CHECK(file.tensors.size() == 2);
  CHECK(floats(file, "net.w").size() == 6);
  CHECK(floats(file, "ema.w").size() == 6);
  // Two dicts can give a name twice, and many can repeat a long one.
  const auto refused = [&](const std::string& value) { return refusal_of(value, {std::string(24, '\1')}); };
  CHECK(contains(refused(py_dict({{"a", py_dict({{"b.w", tensor}})}, {"a.b", py_dict({{"w", tensor}})}})),
                 "names the tensor \"a.b.w\" twice"));
  CHECK(contains(refused(py_dict({{std::string(400, 'a'), py_dict({{std::string(100, 'w'), tensor}})}})),
                 "has a name of 501 bytes; at most 500"));
}

TEST_CASE("pth: parameters as PyTorch wrote them before 0.4, and text of Python 2") {
  const std::string old_tensor = py_call(py_global("torch._utils", "_rebuild_tensor"),
                                         {kSix, py_int(0), py_ints({2, 3}), py_ints({3, 1})});
  const std::string parameter = py_global("torch.nn.parameter", "Parameter") + old_tensor + "\x85\x81" +
                                py_tuple({"\x88", "\x89", py_ordered_dict()}) + "b";
  const std::string raw = std::string("U\2\xFF\xFE", 4);  // bytes that are not text
  const SafetensorsFile file =
      read("}(U\1w" + parameter + std::string("T\1\0\0\0v", 6) + old_tensor + py_text("state") + raw + "u",
           {elements<float>({1, 2, 3, 4, 5, 6})});
  CHECK(file.tensors.size() == 2);
  for (const char* name : {"w", "v"}) {
    CHECK(file.tensors.at(name).shape() == Shape{2, 3});
    CHECK(floats(file, name) == std::vector<float>{1, 2, 3, 4, 5, 6});
  }
  // Python 2 wrote an OrderedDict as a call with its entries.
  const std::string ordered = py_call(py_global("collections", "OrderedDict"),
                                      {"](](U\1w" + parameter + "e](U\1v" + old_tensor + "ee"});
  CHECK(read(ordered, {elements<float>({1, 2, 3, 4, 5, 6})}).tensors.size() == 2);
  CHECK(contains(refusal_of_tensor(py_call(py_global("torch._utils", "_rebuild_tensor"), {kSix, py_int(0)})),
                 "four values"));
}

TEST_CASE("pth: a file that is not a dict of tensors is refused") {
  CHECK(contains(refusal_of("]"), "no dict of tensors"));
  CHECK(contains(refusal_of(py_tensor(kSix, 0, {6}, {1}), {std::string(24, '\1')}), "no dict of tensors"));
  const std::string tensor = py_tensor(kSix, 0, {6}, {1});
  for (const std::string& value : {std::string("K\1"), std::string("}"), kSix, py_dict({{"a", "}"}})})
    CHECK(contains(refusal_of(py_dict({{"epoch", py_int(3)}, {"fc.weight", value}}), {std::string(24, '\1')}),
                   "holds no tensors by name, neither at its top nor one dict further down; it has the keys "
                   "\"epoch\", \"fc.weight\""));
  CHECK(contains(refusal_of("}K\1K\2s"), "it has no keys that are strings"));
  CHECK(contains(refusal_of("}K\1" + tensor + "s", {std::string(24, '\1')}), "a key that is not a string"));
  CHECK(contains(refusal_of(py_dict({{"w", tensor}, {"v", tensor}, {"w", tensor}}), {std::string(24, '\1')}),
                 "the tensor \"w\" twice"));
}

TEST_CASE("pth: tensors that are not described in PyTorch's form") {
  const std::string rebuild = py_global("torch._utils", "_rebuild_tensor_v2"), hooks = py_ordered_dict();
  const std::string zero = py_int(0), six = py_ints({6}), one = py_ints({1});
  CHECK(contains(refusal_of_tensor(py_call(rebuild, {})), "six values"));
  CHECK(contains(refusal_of_tensor(py_call(rebuild, {kSix, zero, six, one, "\x89"})), "six values"));
  CHECK(contains(
      refusal_of_tensor(py_call(rebuild, {kSix, zero, six, one, "\x89", hooks, py_dict({{"neg", "\x88"}})})),
      "six values"));
  CHECK(contains(refusal_of_tensor(py_call(rebuild, {kSix, "N", six, one, "\x89", hooks})), "an offset"));
  CHECK(contains(refusal_of_tensor(py_call(rebuild, {kSix, zero, "]", one, "\x89", hooks})), "not a tuple"));
  CHECK(contains(refusal_of_tensor(py_call(rebuild, {kSix, zero, six, py_tuple({"N"}), "\x89", hooks})),
                 "not an integer"));
  CHECK(contains(refusal_of_tensor(py_call(py_global("torch._utils", "_rebuild_parameter"), {})),
                 "a parameter without a value"));
  CHECK(contains(refusal_of_tensor(py_call(py_global("torch._utils", "_rebuild_parameter"), {kSix})),
                 "not made of a tensor"));

  const auto with = [&](const std::string& storage) {
    return refusal_of_tensor(py_tensor(storage, 0, {6}, {1}));
  };
  CHECK(contains(with("K\1"), "a storage that is not described"));
  CHECK(contains(with("K\1Q"), "a storage that is not described"));
  CHECK(contains(with(py_ints({1, 2, 3, 4, 5}) + "Q"), "a storage that is not described"));
  CHECK(contains(with(py_storage("ShortStorage", "0", 12)), "has the storage torch.ShortStorage; expected"));
  CHECK(contains(with(py_storage("FloatStorage", "1", 6)), "record \"archive/data/1\", which is missing"));
  CHECK(contains(with(py_storage("FloatStorage", "../data/0", 6)), "which is missing"));
  for (const int64_t numel : {int64_t{5}, int64_t{7}, int64_t{0}, int64_t{-6}, INT64_MIN, INT64_MAX,
                              int64_t{1} << 62, (int64_t{1} << 62) + 6})
    CHECK(
        contains(with(py_storage("FloatStorage", "0", numel)),
                 fmt::format("a storage of {} elements of type F32, but the record \"archive/data/0\" has 24",
                             numel)));
  CHECK(contains(with(py_storage("DoubleStorage", "0", 6)), "a storage of 6 elements of type F64"));
  // A call of a type, which may only be named.
  CHECK(
      contains(refusal_of(py_call(py_global("torch", "FloatStorage"), {py_int(6)})), "which is only a name"));
}
