// Checkpoints: a complete one restores the run, an incomplete one is refused with a sentence.
#include "train/checkpoint.h"

#include <doctest/doctest.h>

#include "core/files/safetensors.h"
#include "data/image.h"
#include "kernels/gemm/instruction_sets.h"
#include "models/weights.h"
#include "tests/data/fixtures.h"
#include "tests/one_thread.h"
#include "tests/train/tiny_run.h"

using namespace rcnn;
using namespace rcnn::fixtures;
namespace fs = std::filesystem;

namespace {

/// A detector with an optimiser whose momenta all differ.
struct Trained {
  Context ctx;
  Detector detector;
  Sgd sgd;

  explicit Trained(uint64_t seed, std::vector<std::string> classes = {"a \"b\"", "größe"})
      : detector{std::make_unique<FasterRcnn>(tiny_model(), static_cast<int64_t>(classes.size()), Init(seed)),
                 classes},
        sgd(ctx, *detector.model, {}) {
    float next = static_cast<float>(seed);
    for (Sgd::Parameter& p : sgd.parameters())
      for (float& value : p.momentum.mutable_values<float>()) value = next += 0.5f;
  }
};

std::vector<float> numbers(const Tensor& tensor) {
  const auto span = tensor.values<float>();
  return {span.begin(), span.end()};
}

std::vector<std::vector<float>> weights_of(const Detector& detector) {
  std::vector<std::vector<float>> all;
  for (const auto& [name, tensor] : save_weights(*detector.model)) all.push_back(numbers(tensor));
  return all;
}

std::vector<std::vector<float>> momenta_of(Sgd& sgd) {
  std::vector<std::vector<float>> all;
  for (const Sgd::Parameter& p : sgd.parameters()) all.push_back(numbers(p.momentum));
  return all;
}

const RunState kState{.step = 123456789012,
                      .train_seconds = 0.1,
                      .best = 0.25,
                      .best_step = 77,
                      .settings = {{"lr", "0.02"}, {"anchor-sizes", "16,23; 32"}}};

/// A checkpoint on disk that can be written back with a fault.
struct Damaged {
  TemporaryFolder folder;
  fs::path path = folder / "last.safetensors";
  SafetensorsFile file;

  Damaged() {
    Trained trained(1);
    save_checkpoint(path, trained.detector, trained.sgd, nullptr, kState);
    file = read_safetensors(path);
  }
  /// The sentence with which resuming from the current contents of `file` is refused. The detector that was
  /// to be restored must not change.
  std::string refusal(std::vector<std::string> classes = {"a \"b\"", "größe"}) {
    write_safetensors(path, listed(file), file.metadata);
    Trained other(2, std::move(classes));
    const auto weights = weights_of(other.detector), momenta = momenta_of(other.sgd);
    const std::string sentence =
        input_error([&] { load_checkpoint(path, other.detector, other.sgd, nullptr, kState.settings); });
    CHECK(weights_of(other.detector) == weights);
    CHECK(momenta_of(other.sgd) == momenta);
    CHECK(contains(sentence, path.string() + ": "));
    CHECK_FALSE(contains(sentence, "\n"));
    return sentence;
  }
  /// The same for building a detector from the file.
  std::string model_refusal() {
    write_safetensors(path, listed(file), file.metadata);
    const std::string sentence = input_error([&] { load_model(path); });
    CHECK(contains(sentence, path.string() + ": "));
    return sentence;
  }
};

}  // namespace

TEST_CASE("checkpoint: model, optimiser and state are restored") {
  const TemporaryFolder folder;
  const fs::path path = folder / "last.safetensors";
  Trained saved(1), other(2);
  save_checkpoint(path, saved.detector, saved.sgd, nullptr, kState);
  REQUIRE(weights_of(other.detector) != weights_of(saved.detector));
  const RunState state = load_checkpoint(path, other.detector, other.sgd, nullptr, kState.settings);
  CHECK(state.step == kState.step);
  CHECK(state.train_seconds == kState.train_seconds);
  CHECK(state.best == kState.best);
  CHECK(state.best_step == kState.best_step);
  CHECK(state.settings == kState.settings);
  CHECK(weights_of(other.detector) == weights_of(saved.detector));
  CHECK(momenta_of(other.sgd) == momenta_of(saved.sgd));
}

TEST_CASE("checkpoint: numerics name the libraries, the processor's instruction set and the threads") {
  std::string instructions = "baseline";
#if defined(RCNN_SIMD_X86)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) instructions = "AVX2";
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw"))
    instructions = "AVX-512";
#endif
  const OneThread one;
  const std::string numerics = Damaged().file.metadata.at("numerics");
  CHECK(contains(numerics, "oneDNN"));
  CHECK(numerics.ends_with(fmt::format(", {}, {} kernels, 1 thread", jpeg_library(), instructions)));
}

TEST_CASE("checkpoint: the momentum of a filter has the layout of its weight in the file") {
  Damaged saved;
  for (const auto& [name, tensor] : saved.file.tensors) {
    if (!name.starts_with("optimizer.")) continue;
    CAPTURE(name);
    CHECK(tensor.shape() == saved.file.tensors.at(name.substr(10)).shape());
  }
  CHECK(saved.file.tensors.contains("optimizer.backbone.body.conv1.weight"));
  CHECK_FALSE(saved.file.tensors.contains("optimizer.backbone.body.bn1.running_mean"));
}

TEST_CASE("checkpoint: a detector is built from nothing but the file of a model or of a run") {
  const TemporaryFolder folder;
  Trained saved(1);
  save_model(folder / "best.safetensors", saved.detector);
  save_checkpoint(folder / "last.safetensors", saved.detector, saved.sgd, nullptr, kState);
  for (const char* name : {"best.safetensors", "last.safetensors"}) {
    CAPTURE(name);
    const Detector loaded = load_model(folder / name);
    CHECK(loaded.classes == saved.detector.classes);
    CHECK(loaded.model->classes == 3);
    CHECK(list_fields(loaded.model->config, model_fields()) ==
          list_fields(saved.detector.model->config, model_fields()));
    CHECK(weights_of(loaded) == weights_of(saved.detector));

    Trained other(2);
    const auto momenta = momenta_of(other.sgd);
    load_weights_file(folder / name, other.detector);
    CHECK(weights_of(other.detector) == weights_of(saved.detector));
    CHECK(momenta_of(other.sgd) == momenta);
  }
}

TEST_CASE("checkpoint: a setting that is newer than the file has the model's default") {
  Damaged d;
  for (const char* key : {"model.precision", "model.norm", "model.frozen-stages", "model.box-nms-thresh"})
    REQUIRE(d.file.metadata.erase(key) == 1);
  write_safetensors(d.path, listed(d.file), d.file.metadata);
  const ModelConfig loaded = load_model(d.path).model->config, expected = model_config("nano-fpn");
  CHECK(loaded.precision == "f32");
  CHECK(loaded.norm == "batch");
  CHECK(loaded.frozen_stages == 0);
  CHECK(loaded.box_nms_thresh == expected.box_nms_thresh);
  CHECK(loaded.box_head_size == tiny_model().box_head_size);  // from the file

  Trained again(2);
  auto settings = kState.settings;  // those of the file have none of these
  settings["precision"] = "f32";
  settings["norm"] = "batch";
  settings["clip-norm"] = "5";
  CHECK(load_checkpoint(d.path, again.detector, again.sgd, nullptr, settings).step == kState.step);
  for (const auto& [key, value] : {std::pair{"precision", "tf32"}, {"norm", "frozen"}, {"clip-norm", "1"}}) {
    auto other = settings;
    other[key] = value;
    CHECK(contains(input_error([&] { load_checkpoint(d.path, again.detector, again.sgd, nullptr, other); }),
                   fmt::format("the run to resume has --{} '{}', not '{}'", key, settings[key], value)));
  }
}

TEST_CASE("checkpoint: a run starts from the file of another run, with its own classes") {
  const TemporaryFolder folder;
  const fs::path path = folder / "last.safetensors";
  Trained saved(1, {"ant", "bee"}), other(2, {"bee", "cat", "ant"});
  save_checkpoint(path, saved.detector, saved.sgd, nullptr, kState);
  const auto momenta = momenta_of(other.sgd);
  const WeightsReport fresh = load_weights_file(path, other.detector);
  CHECK(fresh.other_classes);
  CHECK(fresh.kept_classes.empty());
  CHECK(fresh.unexpected.empty());  // the optimiser's tensors are not the model's
  CHECK(momenta_of(other.sgd) == momenta);
  CHECK(load_weights_file(path, other.detector, true).kept_classes == std::vector<std::string>{"bee", "ant"});
}

TEST_CASE("checkpoint: a norm that is not the default is restored with the model") {
  const TemporaryFolder folder;
  for (const char* norm : {"frozen", "folded"}) {
    ModelConfig config = tiny_model();
    config.norm = norm;
    Detector detector{std::make_unique<FasterRcnn>(config, 1, Init(1)), {"a"}};
    save_model(folder / norm, detector);
    const Detector loaded = load_model(folder / norm);
    CHECK(loaded.model->config.norm == norm);
    CHECK(weights_of(loaded) == weights_of(detector));
  }
}

TEST_CASE("checkpoint: saving the same twice gives the same bytes") {
  const TemporaryFolder folder;
  Trained saved(1);
  save_model(folder / "a", saved.detector);
  save_model(folder / "b", saved.detector);
  CHECK(read_safetensors(folder / "a").metadata == read_safetensors(folder / "b").metadata);
  std::ifstream a(folder / "a", std::ios::binary), b(folder / "b", std::ios::binary);
  CHECK(std::equal(std::istreambuf_iterator<char>(a), {}, std::istreambuf_iterator<char>(b), {}));
}

TEST_CASE("checkpoint: a run only resumes with its own settings and classes") {
  Damaged saved;
  CHECK(contains(saved.refusal({"a", "b"}), "its classes are not those of the training data"));
  saved.file.metadata["setting.lr"] = "0.03";
  CHECK(contains(saved.refusal(), "the run to resume has --lr '0.03', not '0.02'"));
}

TEST_CASE("checkpoint: a value needed to resume is missing or not a number") {
  const auto with = [](const std::string& key, const std::string& text) {
    Damaged saved;
    saved.file.metadata[key] = text;
    return saved.refusal();
  };
  for (const char* text : {"", "-1", "x", "1.5", "3 ", "99999999999999999999"})
    CHECK(contains(with("step", text), "has step = '" + std::string(text) + "', expected a number"));
  for (const char* text : {"", "-1", "nan", "1s"})
    CHECK(contains(with("train_seconds", text), "train_seconds"));
  for (const char* key : {"step", "train_seconds", "classes"}) {
    Damaged saved;
    saved.file.metadata.erase(key);
    CHECK(contains(saved.refusal(), "its metadata lacks '" + std::string(key) + "'"));
  }
}

TEST_CASE("checkpoint: a momentum or a weight is missing or does not fit") {
  const std::string name = "roi_heads.box_predictor.bbox_pred.weight";
  Damaged saved;
  const SafetensorsFile good = saved.file;
  saved.file.tensors.erase("optimizer." + name);
  CHECK(contains(saved.refusal(), "tensor 'optimizer." + name + "' is missing"));
  saved.file = good;
  saved.file.tensors["optimizer." + name] = Tensor::zeros({3}, DType::f32);
  CHECK(contains(saved.refusal(), "tensor 'optimizer." + name + "' has shape (3), which does not fit"));
  saved.file = good;
  saved.file.tensors.erase(name);
  CHECK(contains(saved.refusal(), "tensor '" + name + "' is missing"));
  saved.file = good;
  saved.file.tensors["more"] = Tensor::zeros({3}, DType::f32);
  CHECK(contains(saved.refusal(), "tensor 'more' of shape (3) is not part of this model"));
}

TEST_CASE("checkpoint: a file does not describe a model") {
  Damaged saved;
  const SafetensorsFile good = saved.file;
  for (const char* key : {"format", "classes", "model.model"}) {
    saved.file = good;
    saved.file.metadata.erase(key);
    CHECK(contains(saved.model_refusal(), "lacks '" + std::string(key) + "'"));
  }
  for (const char* text : {"", "[", "{}", "[]", "[1]", "\"a\"", "null"}) {
    saved.file = good;
    saved.file.metadata["classes"] = text;
    CHECK(contains(saved.model_refusal(), "'classes' is not a list of names"));
  }
  const auto with = [&](const std::string& key, const std::string& text) {
    saved.file = good;
    saved.file.metadata[key] = text;
    return saved.model_refusal();
  };
  CHECK(contains(with("model.short-side", "1"), "short-side: expected a number from 16 to 8192, found 1"));
  CHECK(contains(with("model.box-head-size", "16"), "has shape (32, 288), expected (16, 288)"));
  CHECK(contains(with("model.model", "nonsense"), "nonsense"));
  CHECK(contains(with("classes", R"(["a", "a"])"), "has the name \"a\" twice"));
  CHECK(contains(with("classes", R"(["a", ""])"), "has an empty name"));
  for (const char* ids : {"[1]", "[1, 1]", "[-1, -1]", "[1, 2.5]", "[1, -9007199254740993]",
                          "[1, 9007199254740993]", "[1, 18446744073709551615]"}) {
    CAPTURE(ids);
    CHECK(contains(with("category_ids", ids),
                   "not a list of 2 different whole numbers from -9007199254740992 to 9007199254740992"));
  }
  CHECK(contains(with("classes", "[\"a\"]"), "has shape"));
  // A model that is much larger than the file is refused before it takes memory.
  const std::string larger = with("model.box-head-size", "16384");
  CHECK(contains(larger, "larger than everything in the file"));
  CHECK(input_error([&] { saved_config(saved.path); }) == larger);  // a run that starts from the file
  saved.file = good;
  saved.file.tensors.at("rpn.head.cls_logits.bias").fill(NAN);
  CHECK(contains(saved.model_refusal(), "'rpn.head.cls_logits.bias' has the value nan"));
}
