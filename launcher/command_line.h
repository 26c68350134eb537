// What the programs share in reading their command lines: one form for every mistake, the nearest
// name, checks whose messages are sentences.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

namespace bit::launcher {

// The exit code to leave with when there is no more to do: --help and --version were asked for
// (0), or a mistake was said on standard error as "<name of app>: error: ..." (2).
std::optional<int> parse_arguments(CLI::App& app, int argc, const char* const* argv);

// "<program>: error: <reason>" on standard error, after what standard output still holds.
void print_error(const std::string& program, const std::string& reason);

// Checks of an option's value.
CLI::Validator positive();  // a finite number above 0
CLI::Validator one_of(std::vector<std::string> words);

}  // namespace bit::launcher
