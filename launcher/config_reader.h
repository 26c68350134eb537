// The passes that make a configuration: file, overrides, checks across settings. Each adds its
// mistakes and goes on. Internal to the config_*.cpp files.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "launcher/config.h"

namespace bit::launcher {

struct Reading {
  schemas::RunConfig config;
  Origins origins;                      // only of settings that were given
  std::set<std::string> rejected;       // dotted keys whose value could not be used
  std::vector<ConfigMistake> mistakes;  // in order of their places
};

void read_yaml(std::string_view yaml, const std::string& name, Reading& reading);
void read_overrides(const std::vector<std::string>& overrides, Reading& reading);
// What no setting shows alone: lanes that do not divide the batch, drops out of order. Needs every
// field set.
void check_together(const std::string& name, Reading& reading);

}  // namespace bit::launcher
