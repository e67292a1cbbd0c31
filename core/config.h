// Configuration structs that are described by one table of fields:
//
//     static const Field<TrainConfig> fields[] = {
//         text("data", &TrainConfig::data, "folder of labelled images"),
//         number("batch", &TrainConfig::batch, 1, 4096, "images per batch"),
//         choice("schedule", &TrainConfig::schedule, "cosine|step|constant", "how the learning rate falls"),
//     };
//
// The TOML file, the flags of the command line with their help, the metadata of checkpoints and the report
// all come from the table, so a field that is added to it is known everywhere.
#pragma once

#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/error.h"

namespace rcnn {

/// One list of numbers per level: `16,23; 32,45` in text.
using Levels = std::vector<std::vector<float>>;

inline constexpr double kNoLimit = std::numeric_limits<double>::infinity();

/// One row of a table, made by one of the functions below.
template <class Config>
struct Field {
  std::string_view key;
  std::variant<int64_t Config::*, float Config::*, bool Config::*, std::string Config::*, Levels Config::*>
      member;
  std::string_view help;
  double min = -kNoLimit, max = kNoLimit;  // for numbers, also those in lists; both limits are allowed values
  std::string_view choices = "";           // for words: those allowed, separated by '|'; empty: any text
};

/// A text of any kind: a path, a name.
template <class Config>
Field<Config> text(std::string_view key, std::string Config::*member, std::string_view help) {
  return {.key = key, .member = member, .help = help};
}

/// One word out of `choices`, which are separated by '|'.
template <class Config>
Field<Config> choice(std::string_view key, std::string Config::*member, std::string_view choices,
                     std::string_view help) {
  return {.key = key, .member = member, .help = help, .choices = choices};
}

/// True or false.
template <class Config>
Field<Config> flag(std::string_view key, bool Config::*member, std::string_view help) {
  return {.key = key, .member = member, .help = help};
}

/// A number from `min` to `max`, which must be whole if the member is an int64_t.
template <class Config, class Number>
Field<Config> number(std::string_view key, Number Config::*member, double min, double max,
                     std::string_view help) {
  return {.key = key, .member = member, .help = help, .min = min, .max = max};
}

/// Lists of numbers from `min` to `max`.
template <class Config>
Field<Config> numbers(std::string_view key, Levels Config::*member, double min, double max,
                      std::string_view help) {
  return {.key = key, .member = member, .help = help, .min = min, .max = max};
}

/// A value as text. Parsing the text gives the same value.
std::string format_value(int64_t value);
std::string format_value(float value);
std::string format_value(bool value);
std::string format_value(const std::string& value);
std::string format_value(const Levels& value);

/// Parses a text. Throws InputError naming `key`, the text and what was expected.
void parse_value(std::string_view key, std::string_view text, int64_t& value);
void parse_value(std::string_view key, std::string_view text, float& value);
void parse_value(std::string_view key, std::string_view text, bool& value);
void parse_value(std::string_view key, std::string_view text, std::string& value);
void parse_value(std::string_view key, std::string_view text, Levels& value);

/// Throws InputError when `value` is outside [min, max], or not among the words in `choices`.
void check_range(std::string_view key, double value, double min, double max);
void check_choice(std::string_view key, std::string_view value, std::string_view choices);

/// Sets one field from text. Returns false when the table has no such key.
template <class Config>
bool set_field(Config& config, std::span<const Field<Config>> fields, std::string_view key,
               std::string_view text) {
  for (const Field<Config>& field : fields) {
    if (field.key != key) continue;
    std::visit(
        [&](auto member) {
          auto value = config.*member;
          parse_value(key, text, value);
          using T = decltype(value);
          if constexpr (std::is_same_v<T, int64_t> || std::is_same_v<T, float>)
            check_range(key, static_cast<double>(value), field.min, field.max);
          if constexpr (std::is_same_v<T, Levels>)
            for (const std::vector<float>& level : value)
              for (const float number : level)
                check_range(key, static_cast<double>(number), field.min, field.max);
          if constexpr (std::is_same_v<T, std::string>) check_choice(key, value, field.choices);
          config.*member = value;
        },
        field.member);
    return true;
  }
  return false;
}

/// Every field of the configuration as (key, text), in the order of the table.
template <class Config>
std::vector<std::pair<std::string, std::string>> list_fields(const Config& config,
                                                             std::span<const Field<Config>> fields) {
  std::vector<std::pair<std::string, std::string>> list;
  for (const Field<Config>& field : fields)
    list.emplace_back(field.key,
                      std::visit([&](auto member) { return format_value(config.*member); }, field.member));
  return list;
}

}  // namespace rcnn
