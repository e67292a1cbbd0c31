#include "cli/settings.h"

#include <fmt/format.h>

#define TOML_EXCEPTIONS 1
#include <toml++/toml.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "train/checkpoint.h"

namespace rcnn {
namespace {

std::string to_text(const toml::node& node, const std::string& key, const std::filesystem::path& file) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return fmt::format("{}", number->get());
  if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
  if (const auto* truth = node.as_boolean()) return truth->get() ? "true" : "false";
  if (const auto* array = node.as_array()) {
    // [[16, 23], [32, 45]] is one list a level; [0.5, 1, 2] a single list.
    std::string text;
    for (const toml::node& element : *array) {
      const bool nested = array->front().is_array();
      text += (text.empty() ? "" : nested ? ";" : ",") + to_text(element, key, file);
    }
    return text;
  }
  throw InputError(
      fmt::format("{}: line {}: '{}' is neither a number, a text, true or false, nor a list of numbers",
                  file.string(), node.source().begin.line, key));
}

/// Tries a setting out, so that what is wrong with it can be told with its place in the file.
void check_setting(const std::string& key, const std::string& text, const std::string& place) {
  ModelConfig model;
  TrainConfig train;
  bool known = false;
  try {
    known = set_field(model, model_fields(), key, text) || set_field(train, train_fields(), key, text);
  } catch (const InputError& error) {
    throw InputError(fmt::format("{}: {}", place, error.what()));
  }
  check_input(known, "{}: unknown setting '{}'; `rcnn train --help-all` lists the settings there are", place,
              key);
}

}  // namespace

Settings read_settings(const std::filesystem::path& file) {
  check_input(std::filesystem::exists(file), "{}: no such file", file.string());
  check_input(!std::filesystem::is_directory(file), "{} is a folder; expected a TOML file", file.string());
  toml::table table;
  try {
    table = toml::parse_file(file.string());
  } catch (const toml::parse_error& error) {
    throw InputError(
        fmt::format("{}: line {}: {}", file.string(), error.source().begin.line, error.description()));
  }
  Settings settings;
  const auto add = [&](std::string key, const toml::node& value) {
    std::string text = to_text(value, key, file);
    check_setting(key, text, fmt::format("{}: line {}", file.string(), value.source().begin.line));
    settings.emplace_back(std::move(key), std::move(text));
  };
  for (const auto& [key, value] : table)
    if (!value.is_table()) add(std::string(key.str()), value);
  for (const auto& [name, value] : table) {
    if (!value.is_table()) continue;
    check_input(name.str() == "model" || name.str() == "train",
                "{}: line {}: expected the tables [model] and [train], found [{}]", file.string(),
                value.source().begin.line, std::string(name.str()));
    for (const auto& [key, entry] : *value.as_table()) add(std::string(key.str()), entry);
  }
  return settings;
}

template <class Config>
void SettingFlags::add(CLI::App& app, std::span<const Field<Config>> fields, const Config& defaults,
                       const std::string& group, std::span<const std::string_view> first) {
  const auto texts = list_fields(defaults, fields);
  for (size_t i = 0; i < fields.size(); ++i) {
    const Field<Config>& field = fields[i];
    Flag& flag = flags_.emplace_back();
    flag.key = std::string(field.key);
    std::string help(field.help);
    if (!field.choices.empty()) help += fmt::format(" ({})", field.choices);
    if (!texts[i].second.empty()) help += fmt::format(" [{}]", texts[i].second);
    if (std::holds_alternative<bool Config::*>(field.member)) {
      flag.option = app.add_flag(fmt::format("--{0}{{true}},--no-{0}{{false}}", flag.key), flag.text, help);
    } else {
      flag.option = app.add_option("--" + flag.key, flag.text, help);
      flag.option->type_name(std::holds_alternative<std::string Config::*>(field.member) ? "TEXT"
                             : std::holds_alternative<Levels Config::*>(field.member)    ? "LIST"
                                                                                         : "NUMBER");
    }
    if (std::find(first.begin(), first.end(), field.key) == first.end()) flag.option->group(group);
  }
}
template void SettingFlags::add(CLI::App&, std::span<const Field<ModelConfig>>, const ModelConfig&,
                                const std::string&, std::span<const std::string_view>);
template void SettingFlags::add(CLI::App&, std::span<const Field<TrainConfig>>, const TrainConfig&,
                                const std::string&, std::span<const std::string_view>);

Settings SettingFlags::given() const {
  Settings settings;
  for (const Flag& flag : flags_)
    if (flag.option->count() > 0) settings.emplace_back(flag.key, flag.text);
  return settings;
}

void set_short_side(ModelConfig& model, int64_t pixels) {
  model.long_side = std::max(pixels, model.long_side * pixels / model.short_side);
  model.short_side = pixels;
}

SuitedInput apply_settings(const Settings& settings, ModelConfig& model, TrainConfig& train, bool resume) {
  std::map<std::string, std::string, std::less<>> given(settings.begin(), settings.end());
  for (const auto& [key, text] : settings) given[key] = text;  // the later one counts
  std::optional<ModelConfig> saved;
  if (given.contains("weights")) {
    const auto out = given.find("out");
    const auto last =
        std::filesystem::path(out == given.end() ? train.out : out->second) / "last.safetensors";
    saved = saved_config(resume && std::filesystem::exists(last) ? last
                                                                 : std::filesystem::path(given["weights"]));
  }
  if (saved && given.contains("model") && given["model"] != saved->backbone) saved.reset();
  model = saved ? *saved : model_config(given.contains("model") ? given["model"] : model_names().front());
  const ModelConfig before = model;
  for (const auto& [key, text] : settings) {
    const bool known =
        set_field(model, model_fields(), key, text) || set_field(train, train_fields(), key, text);
    check_input(known, "unknown setting '{}' = '{}'; `rcnn train --help-all` lists the settings there are",
                key, text);
  }
  if (!given.contains("long-side")) {
    const int64_t asked = std::exchange(model.short_side, before.short_side);
    set_short_side(model, asked);
  }
  return {!saved && !given.contains("short-side"), !saved && !given.contains("anchor-sizes")};
}

}  // namespace rcnn
