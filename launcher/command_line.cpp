#include "launcher/command_line.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdio>

#include "launcher/exit_code.h"
#include "launcher/words.h"

namespace bit::launcher {
namespace {

// The subcommand that was given, or the app itself.
CLI::App& innermost(CLI::App& app) {
  CLI::App* at = &app;
  while (!at->get_subcommands().empty()) at = at->get_subcommands().front();
  return *at;
}

std::string full_name(const CLI::App& app) {
  return app.get_parent() == nullptr ? app.get_name()
                                     : full_name(*app.get_parent()) + " " + app.get_name();
}

// What is wrong with a word that nothing takes.
std::string unknown_word(CLI::App& app, const std::string& word) {
  std::vector<std::string> names;
  if (word.starts_with('-')) {
    for (const CLI::Option* option : app.get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
    const auto near = nearest(word.substr(0, word.find('=')), names);
    return fmt::format("there is no option '{}'{}", word,
                       near ? "; did you mean '" + *near + "'?" : "");
  }
  for (const CLI::App* command : app.get_subcommands(nullptr)) {
    if (!command->get_name().empty()) names.push_back(command->get_name());
  }
  if (names.empty()) return fmt::format("'{}' is one word too many", word);
  return fmt::format("there is no command '{}'; {}", word, known_names(word, names));
}

std::string mistake_in(CLI::App& app, const CLI::ParseError& error) {
  // A word that is not known explains what is missing, not the other way round.
  const auto unknown = app.remaining(true);
  return unknown.empty() ? error.what() : unknown_word(innermost(app), unknown.front());
}

}  // namespace

void print_error(const std::string& program, const std::string& reason) {
  std::fflush(stdout);
  // In one piece, and without a throw when nobody listens.
  std::fputs(fmt::format("{}: error: {}\n", program, reason).c_str(), stderr);
}

std::optional<int> parse_arguments(CLI::App& app, int argc, const char* const* argv) {
  try {
    app.parse(argc, argv);
    return std::nullopt;
  } catch (const CLI::Success& success) {
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    print_error(app.get_name(), fmt::format("{} ({} --help shows how)", mistake_in(app, error),
                                            full_name(innermost(app))));
    return kUsage;
  }
}

CLI::Validator positive() {
  return {[](std::string& text) -> std::string {
            double value = 0;
            const bool good = CLI::detail::lexical_cast(text, value) && std::isfinite(value);
            return good && value > 0 ? "" : fmt::format("'{}': expected a number above 0", text);
          },
          "", "POSITIVE"};
}

CLI::Validator one_of(std::vector<std::string> words) {
  return {[words = std::move(words)](std::string& text) -> std::string {
            for (const std::string& word : words) {
              if (text == word) return "";
            }
            const auto near = nearest(text, words);
            return fmt::format("'{}': expected {}{}", text, joined(words, " or "),
                               near ? "; did you mean '" + *near + "'?" : "");
          },
          "", "ONE_OF"};
}

}  // namespace bit::launcher
