// A command line, one word per line: parsed as the program does it, as far as that is possible without
// running a command. The settings that it gives become those of a model and of a training.
#include <CLI/CLI.hpp>

#include <list>

#include "cli/usage.h"
#include "core/text.h"
#include "data/divide.h"
#include "data/files.h"
#include "data/orientation.h"
#include "models/config.h"
#include "tests/fuzz/targets.h"
#include "train/config.h"

namespace rcnn::fuzz {
namespace {

/// The options of all fields, as cli/settings.cpp adds them.
template <class Config>
void add_fields(CLI::App& app, std::span<const Field<Config>> fields,
                std::list<std::pair<std::string, std::string>>& given) {
  for (const Field<Config>& field : fields) {
    auto& [key, text] = given.emplace_back(std::string(field.key), "");
    if (std::holds_alternative<bool Config::*>(field.member))
      app.add_flag(fmt::format("--{0}{{true}},--no-{0}{{false}}", key), text);
    else
      app.add_option("--" + key, text);
  }
}

/// A configuration written as text and read again is the same.
template <class Config>
void check_text(const Config& config, std::span<const Field<Config>> fields) {
  Config again;
  for (const auto& [key, text] : list_fields(config, fields))
    check(text.empty() || set_field(again, fields, key, text), "a setting is not known by its own name");
  check(list_fields(again, fields) == list_fields(config, fields), "settings change when they are written");
}

void check_line(const std::string& text) {
  check(text.size() > 20 && text.ends_with('\n') && text.find('\n') == text.size() - 1, "not one line");
  for (const char c : text) check(c == '\n' || static_cast<unsigned char>(c) >= 0x20, "a control character");
}

}  // namespace

void command_line(const std::filesystem::path& file) {
  CLI::App program{"Faster R-CNN from scratch"};
  program.name("rcnn");
  program.require_subcommand(1);
  std::list<std::pair<std::string, std::string>> given;
  std::string parts, frame;
  uint64_t seed = 0;
  CLI::App* train = program.add_subcommand("train", "Train a model");
  add_fields(*train, model_fields(), given);
  add_fields(*train, train_fields(), given);
  CLI::App* data = program.add_subcommand("data", "Labelled images");
  data->require_subcommand(1);
  CLI::App* split = data->add_subcommand("split", "Divide labelled images");
  split->add_option("--parts", parts);
  split->add_option("--exif-boxes", frame);
  split->add_option("--seed", seed);
  std::vector<std::string> words = read_numbered_lines(file);
  std::reverse(words.begin(), words.end());  // CLI11 takes them from the end
  try {
    program.parse(std::move(words));
  } catch (const CLI::ParseError& error) {
    if (asked_list(program, error).empty() && error.get_exit_code() != 0)
      check_line(usage_error(&program, error));
    throw InputError("The command line was not understood, as is usual.");
  }
  if (!parts.empty()) parse_shares(parts);
  if (!frame.empty()) parse_exif_boxes(frame);
  ModelConfig model;
  TrainConfig training;
  for (const auto& [key, text] : given)
    if (!text.empty() && !set_field(model, model_fields(), key, text))
      check(set_field(training, train_fields(), key, text), "a setting is not known by its own name");
  check_text(model, model_fields());
  check_text(training, train_fields());
}

}  // namespace rcnn::fuzz
