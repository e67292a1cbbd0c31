#include "cli/usage.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/text.h"

namespace rcnn {
namespace {

/// The last command that the command line names.
const CLI::App& named_command(const CLI::App& program) {
  const CLI::App* command = &program;
  while (!command->get_subcommands().empty()) command = command->get_subcommands().front();
  return *command;
}

/// "rcnn bench model".
std::string full_name(const CLI::App& command) {
  const std::string name = command.get_name();
  return command.get_parent() ? full_name(*command.get_parent()) + " " + name : name;
}

bool is_kind(const CLI::Error& error, CLI::ExitCodes kind) {
  return error.get_exit_code() == static_cast<int>(kind);
}

std::string help_of(const CLI::App& command) {
  return command.get_formatter()->make_help(&command, full_name(command), CLI::AppFormatMode::Normal);
}

std::vector<std::string> command_names(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::App* child : command.get_subcommands({})) names.push_back(child->get_name());
  return names;
}

std::vector<std::string> option_names(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options())
    for (const std::string& name : option->get_lnames()) names.push_back(name);
  return names;
}

/// `--Batch_Size=4` -> `batch-size`.
std::string normalised(std::string word) {
  word.erase(0, word.find_first_not_of('-'));
  word = word.substr(0, word.find('='));
  for (char& c : word) c = c == '_' ? '-' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return word;
}

/// The number of letters to insert, remove, replace or exchange with the next one.
size_t distance(const std::string& a, const std::string& b) {
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), now(b.size() + 1);
  std::iota(last.begin(), last.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    now[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      now[j] = std::min({last[j] + 1, now[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        now[j] = std::min(now[j], before[j - 2] + 1);
    }
    before = std::exchange(last, now);
  }
  return last[b.size()];
}

constexpr std::pair<const char*, const char*> kNamesElsewhere[] = {
    {"learning-rate", "lr"}, {"iterations", "steps"},   {"iters", "steps"},      {"output", "out"},
    {"output-dir", "out"},   {"confidence", "score"},   {"conf", "score"},       {"threshold", "score"},
    {"dataset", "data"},     {"checkpoint", "weights"}, {"gpu", "device"},       {"imgsz", "short-side"},
    {"predict", "detect"},   {"infer", "detect"},       {"inference", "detect"}, {"test", "eval"},
    {"validate", "check"},   {"val", "eval"},           {"benchmark", "bench"},  {"info", "summary"}};

/// The name that was probably meant by `word`: one that other programs have for the same thing, or the one
/// with the fewest changed letters, or that begins alike. Empty if none is close.
std::string closest_name(const std::string& word, const std::vector<std::string>& names) {
  constexpr size_t kMinPart = 3;
  const std::string wanted = normalised(word);
  if (wanted.empty()) return "";
  const auto is_known = [&](const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  if (is_known(wanted)) return wanted;
  for (const auto& [elsewhere, here] : kNamesElsewhere)
    if (wanted == elsewhere && is_known(here)) return here;
  std::string best;
  size_t best_distance = wanted.size() / 3 + 1;  // one more than a third of the letters
  for (const std::string& name : names)
    if (const size_t changed = distance(wanted, name); changed < best_distance && changed < name.size()) {
      best = name;
      best_distance = changed;
    }
  if (!best.empty()) return best;
  for (const std::string& name : names) {  // evaluate -> eval, batch-size -> batch, epoch -> epochs
    const size_t shorter = std::min(name.size(), wanted.size());
    if (shorter >= kMinPart && name.compare(0, shorter, wanted, 0, shorter) == 0) return name;
    if (name.size() >= kMinPart && ("-" + wanted + "-").find("-" + name + "-") != std::string::npos)
      return name;
  }
  return "";
}

}  // namespace

void add_help(CLI::App& program) {
  auto words = std::make_shared<std::vector<std::string>>();
  CLI::App* app = program.add_subcommand("help", "List the commands, or explain one of them");
  app->add_option("command", *words, "the command")->type_name("COMMAND");
  app->callback([words, &program] {
    const CLI::App* command = &program;
    for (const std::string& word : *words) {
      const std::vector<std::string> names = command_names(*command);
      const std::string meant = closest_name(word, names);
      check_input(std::find(names.begin(), names.end(), word) != names.end(),
                  "'{}' is not a command{}; `rcnn help` lists them", word,
                  meant.empty() ? "" : fmt::format("; did you mean {}?", meant));
      command = command->get_subcommand(word);
    }
    fmt::print("{}", help_of(*command));
  });
}

std::string asked_list(const CLI::App& program, const CLI::Error& error) {
  const CLI::App& command = named_command(program);
  const bool lists = is_kind(error, CLI::ExitCodes::RequiredError) && !command.get_subcommands({}).empty();
  return lists && command.remaining_size() == 0 ? help_of(command) : "";
}

std::string usage_error(const CLI::App* program, const CLI::Error& error) {
  const CLI::App& command = named_command(*program);
  std::string fault = error.what();
  const auto explain = [&](const std::string& word, const char* what, const std::string& meant) {
    fault = fmt::format("'{}' is not {}{}", word, what, meant.empty() ? "" : "; did you mean " + meant + "?");
  };
  // CLI11 says which option is missing although a mistyped one is among the words that it did not understand.
  const bool may_be_mistyped =
      is_kind(error, CLI::ExitCodes::ExtrasError) || is_kind(error, CLI::ExitCodes::RequiredError);
  for (const std::string& word : command.remaining()) {
    if (!may_be_mistyped) break;
    const bool option =
        word.size() > 1 && word[0] == '-' && !std::isdigit(static_cast<unsigned char>(word[1]));
    if (!option && command.get_subcommands({}).empty()) continue;
    const std::string meant = closest_name(word, option ? option_names(command) : command_names(command));
    explain(word, option ? "an option" : "a command", option && !meant.empty() ? "--" + meant : meant);
    break;
  }
  return fmt::format("rcnn: {}; `{} --help` explains the usage\n", printable(fault), full_name(command));
}

}  // namespace rcnn
