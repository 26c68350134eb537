// Settings as the reader, the printer and the reference see them: fields of schemas/config.proto
// with their options, defaults and comments. Internal to the config_*.cpp files.
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "launcher/config.h"
#include "launcher/words.h"

namespace bit::launcher {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

bool is_group(const FieldDescriptor& field);  // a section such as `model`
bool is_whole(const FieldDescriptor& field);  // an unsigned integer
bool is_required(const FieldDescriptor& field);
schemas::Kind kind_of(const FieldDescriptor& field);
std::vector<std::string> choices_of(const FieldDescriptor& field);  // of one_of; empty: any text

// "0 to 1", "at least 1", "at most 1024"; empty when anything goes.
std::string allowed_range(const FieldDescriptor& field);
// "a whole number such as 4096": what a message says was expected.
std::string expected(const FieldDescriptor& field);

// Value of a field as YAML text, without quotes. `index` counts in a list.
std::string value_text(const Message& message, const FieldDescriptor& field, int index = 0);
std::string default_text(const FieldDescriptor& field);
std::string number_text(double value);  // shortest text that reads back to the same number

// A plain or quoted YAML scalar.
struct Scalar {
  std::string text;
  bool quoted = false;
};
// Checks `scalar` against the field's type, kind, range and choices; sets it (lists: appends it).
// Returns what is wrong, as "is 1.5: allowed is 0 to 1"; nullopt when it was set.
std::optional<std::string> set_scalar(Message& message, const FieldDescriptor& field,
                                      const Scalar& scalar);

// Visits every setting that has a value of its own, in the order of the schema; `key` is dotted.
using VisitSetting =
    std::function<void(const std::string& key, Message& group, const FieldDescriptor& field)>;
void for_each_setting(schemas::RunConfig& config, const VisitSetting& visit);

// For an unknown `key` in the group `here`, whose dotted name is `group` (empty at the top): ": did
// you mean ...?" or the keys there are. `dotted` names are given in full, as overrides need them.
std::string suggestion(const Descriptor& here, const std::string& group, const std::string& key,
                       bool dotted);
// Comment that stands before a field or message of the schema, lines joined; empty when there is
// none.
std::string comment_of(const std::string& full_name);

// "host:port" or ":port" (this host only).
struct ListenAddress {
  std::string host = "127.0.0.1";
  unsigned port = 0;
};
std::optional<ListenAddress> parse_listen_address(std::string_view text);

}  // namespace bit::launcher
