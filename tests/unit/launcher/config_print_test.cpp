// What is printed reads back to the same configuration; the reference says what the schema says.
#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "launcher/config.h"
#include "launcher/config_fields.h"
#include "storage/file.h"

namespace bit::launcher {
namespace {

using ::testing::HasSubstr;

std::string difference(const schemas::RunConfig& a, const schemas::RunConfig& b) {
  std::string text;
  google::protobuf::util::MessageDifferencer differencer;
  differencer.ReportDifferencesToString(&text);
  return differencer.Compare(a, b) ? "" : text;
}

// Characters that YAML gives a meaning, control characters and text beyond ASCII, besides ordinary
// ones.
rc::Gen<std::string> any_text() {
  return rc::gen::map(rc::gen::container<std::vector<std::string>>(rc::gen::element<std::string>(
                          "a", "Z", "9", "/", ".", "-", "_", " ", ":", "#", "'", "\"", "\\", "[",
                          "{", ",", "&", "*", "!", "|", ">", "%", "@", "\n", "\t", "\x01", "\x7f",
                          "~", "null", "true", "ü", "画", "---")),
                      [](const std::vector<std::string>& parts) {
                        std::string text = "x";
                        for (const auto& part : parts) text += part;
                        return text.substr(1);
                      });
}

RC_GTEST_PROP(PrintedConfig, reads_back_to_the_same_configuration, ()) {
  schemas::RunConfig config = parse_config("output: a\ndata: {path: b}\n", "x.yaml", {}).config;
  config.set_output("o" + *any_text());
  config.mutable_data()->set_path(*any_text() + "p");
  config.mutable_data()->set_split(*any_text() + "s");
  config.mutable_model()->set_init(*any_text());
  config.mutable_model()->set_head_bias(*rc::gen::arbitrary<double>());
  config.mutable_optimizer()->set_learning_rate(std::abs(*rc::gen::arbitrary<double>()));
  config.set_seed(*rc::gen::arbitrary<std::uint64_t>());
  config.mutable_data()->set_flip(*rc::gen::arbitrary<bool>());
  const int drops = *rc::gen::inRange(0, 4);
  for (int i = 1; i <= drops; ++i) config.mutable_schedule()->add_drops(std::to_string(i) + "ep");
  const bool comments = *rc::gen::arbitrary<bool>();
  const std::string printed = print_config(config, nullptr, comments);
  RC_ASSERT(difference(parse_config(printed, "printed", {}).config, config) == "");
}

TEST(PrintedConfig, shows_where_values_come_from) {
  const LoadedConfig loaded =
      parse_config("output: runs/a\ndata:\n  path: b\n", "x.yaml", {"batch=64"});
  const std::string printed = print_config(loaded.config, &loaded.origins);
  EXPECT_THAT(printed, HasSubstr("output: runs/a                          # x.yaml:1:9\n"));
  EXPECT_THAT(printed,
              HasSubstr("batch: 64                               # override 1 (batch=64)\n"));
  EXPECT_THAT(printed, HasSubstr("  length: 90ep                          # default\n"));
  EXPECT_EQ(difference(parse_config(printed, "printed", {}).config, loaded.config), "");
}

TEST(PrintedConfig, carries_the_meaning_of_each_setting_when_asked) {
  const LoadedConfig loaded = parse_config("output: runs/a\ndata: {path: b}\n", "x.yaml", {});
  EXPECT_THAT(
      print_config(loaded.config, nullptr, true),
      HasSubstr(
          "# Seed of the sample order, the augmentation and the initial weights.\nseed: 0\n"));
}

TEST(ConfigReference, is_what_the_repository_holds) {
  const std::string stored =
      storage::read_file(storage::posix_file_system(), BIT_SOURCE_DIR "/docs/config.md");
  EXPECT_EQ(stored, config_reference()) << "run: bit-launch --config-reference > docs/config.md";
}

TEST(ConfigReference, names_every_setting) {
  const std::string reference = config_reference();
  schemas::RunConfig config;
  for_each_setting(config, [&](const std::string& key, Message&, const FieldDescriptor&) {
    EXPECT_THAT(reference, HasSubstr("| `" + key + "` |"));
  });
  EXPECT_THAT(reference, HasSubstr("| `optimizer.momentum` | number | `0.9` | 0 to 1 |"));
  EXPECT_THAT(reference, HasSubstr("| `data.path` | path | *required* |"));
}

}  // namespace
}  // namespace bit::launcher
