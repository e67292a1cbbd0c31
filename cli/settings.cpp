#include "cli/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "core/files/look.h"
#include "models/detector.h"
#include "train/profile.h"

namespace rcnn {

namespace {

/// What the help calls the value of a setting that is a text.
const char* text_type(std::string_view key) {
  if (key == "data") return "PATH";
  if (key == "out") return "DIR";
  return key.ends_with("weights") || key.ends_with("proposals") ? "FILE" : "TEXT";
}

}  // namespace

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
      flag.option->type_name(std::holds_alternative<std::string Config::*>(field.member) ? text_type(flag.key)
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

SuitedInput apply_settings(const Settings& asked, ModelConfig& model, TrainConfig& train, bool resume) {
  std::map<std::string, std::string, std::less<>> given;
  for (const auto& [key, text] : asked) given[key] = text;  // the last one counts
  std::optional<ModelConfig> saved;
  if (given.contains("weights")) {
    const auto out = given.find("out");
    const auto last =
        std::filesystem::path(out == given.end() ? train.out : out->second) / "last.safetensors";
    saved = saved_config(resume && is_there(last) ? last : std::filesystem::path(given["weights"]));
  }
  if (saved && given.contains("model") && given["model"] != saved->backbone) saved.reset();
  model = saved ? *saved : model_config(given.contains("model") ? given["model"] : model_names().front());
  const auto apply = [&](const Settings& settings) {
    for (const auto& [key, text] : settings) {
      const bool known =
          set_field(model, model_fields(), key, text) || set_field(train, train_fields(), key, text);
      check_input(known, "unknown setting '{}' = '{}'; `rcnn train --help-all` lists all settings", key,
                  text);
    }
  };
  Settings profile;
  if (given.contains("profile")) {
    profile = profile_settings(given["profile"], model.backbone);
    check_input(
        !saved || !profile.empty() || saved->profile == given["profile"],
        "--profile {}: the weights were trained with the profile {}; expected that one, or no --profile",
        given["profile"], saved->profile);
  }
  apply(profile);
  const ModelConfig before = model;
  apply(asked);
  if (!given.contains("long-side")) {
    const int64_t pixels = std::exchange(model.short_side, before.short_side);
    set_short_side(model, pixels);
  }
  for (const auto& [key, text] : profile) given.emplace(key, text);
  return {!saved && !given.contains("short-side"), !saved && !given.contains("anchor-sizes")};
}

}  // namespace rcnn
