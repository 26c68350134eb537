// Checks across settings. A pair is left alone when one of the two already has a mistake of its
// own.
#include <fmt/core.h>

#include "launcher/config_fields.h"
#include "launcher/config_reader.h"
#include "trainer/resnet_shape.h"

namespace bit::launcher {
namespace {

class Checks {
 public:
  Checks(const std::string& name, Reading& reading) : name_(name), reading_(reading) {}

  void note(const std::string& key, std::string what) {
    const auto origin = reading_.origins.find(key);
    reading_.mistakes.push_back(
        {origin == reading_.origins.end() ? name_ : origin->second, key + " " + std::move(what)});
  }

  bool usable(std::initializer_list<const char*> keys) const {
    for (const char* key : keys) {
      if (reading_.rejected.contains(key)) return false;
    }
    return true;
  }

  void ordered(const char* low_key, double low, const char* high_key, double high) {
    if (!usable({low_key, high_key}) || low <= high) return;
    // Said of the one that was given.
    if (reading_.origins.contains(low_key)) {
      note(low_key, fmt::format("is {}: allowed is at most {}, which is {}", number_text(low),
                                high_key, number_text(high)));
    } else {
      note(high_key, fmt::format("is {}: allowed is at least {}, which is {}", number_text(high),
                                 low_key, number_text(low)));
    }
  }

  void positive(const char* key, const std::string& text) {
    if (!usable({key}) || text.empty()) return;
    if (const auto duration = parse_duration(text); duration && duration->amount <= 0) {
      note(key, fmt::format("is '{}': expected more than nothing", text));
    }
  }

 private:
  const std::string& name_;
  Reading& reading_;
};

void check_divisors(const schemas::RunConfig& config, Checks& checks) {
  const auto batch = config.batch();
  const auto lanes = config.data().lanes();
  if (checks.usable({"batch", "data.lanes"}) && lanes > 0 && batch % lanes != 0) {
    checks.note("data.lanes",
                fmt::format("is {}: it has to divide batch, which is {}", lanes, batch));
  }
  const auto accumulate = config.optimizer().accumulate();
  if (checks.usable({"batch", "optimizer.accumulate"}) && batch % accumulate != 0) {
    checks.note("optimizer.accumulate",
                fmt::format("is {}: it has to divide batch, which is {}", accumulate, batch));
  }
}

void check_crops(const schemas::RunConfig& config, Checks& checks) {
  const auto& data = config.data();
  checks.ordered("data.crop_area_min", data.crop_area_min(), "data.crop_area_max",
                 data.crop_area_max());
  checks.ordered("data.crop_aspect_min", data.crop_aspect_min(), "data.crop_aspect_max",
                 data.crop_aspect_max());
  const auto holds = [&](const char* key, std::uint32_t resize, const char* crop) {
    if (!checks.usable({key, "data.image_size"}) || resize == 0 || resize >= data.image_size()) {
      return;
    }
    checks.note(key, fmt::format("is {}: the {} crop needs at least data.image_size, which is {}",
                                 resize, crop, data.image_size()));
  };
  if (data.crop() == "resize-random-crop") holds("data.resize", data.resize(), "random");
  if (!config.evaluate().split().empty() && config.evaluate().crop() == "centre") {
    holds("evaluate.resize", config.evaluate().resize(), "centre");
  }
}

void check_schedule(const schemas::RunConfig& config, Checks& checks) {
  const auto& schedule = config.schedule();
  if (!checks.usable({"schedule.drops"})) return;
  if (checks.usable({"schedule.kind"}) && schedule.kind() == "cosine" &&
      schedule.drops_size() > 0) {
    checks.note("schedule.drops",
                fmt::format("has '{}': a schedule.kind of cosine has no drops; expected none "
                            "(schedule.drops=[])",
                            schedule.drops(0)));
    return;
  }
  for (int i = 1; i < schedule.drops_size(); ++i) {
    const auto before = parse_duration(schedule.drops(i - 1));
    const auto after = parse_duration(schedule.drops(i));
    if (before && after && before->unit == after->unit && before->amount >= after->amount) {
      checks.note("schedule.drops", fmt::format("has '{}' after '{}': expected ascending order",
                                                schedule.drops(i), schedule.drops(i - 1)));
    }
  }
}

void check_model(const schemas::RunConfig& config, Checks& checks) {
  if (!checks.usable({"model.name"})) return;
  const std::string& name = config.model().name();
  try {
    trainer::parse_model_name(name, 1);
  } catch (const std::invalid_argument&) {
    // Those of the paper, and the smallest: a slip of the finger is near one of them.
    const auto near = nearest(
        name, {"R50x1", "R50x3", "R101x1", "R101x3", "R152x2", "R152x4", "R26x1", "R26x0.5"});
    checks.note("model.name",
                fmt::format("is '{}': expected a depth (26, 50, 101, 152) and a width in steps of "
                            "0.5, such as R50x1 or R26x0.5{}",
                            name, near ? "; did you mean '" + *near + "'?" : ""));
  }
}

}  // namespace

void check_together(const std::string& name, Reading& reading) {
  Checks checks(name, reading);
  const schemas::RunConfig& config = reading.config;
  check_divisors(config, checks);
  check_model(config, checks);
  check_crops(config, checks);
  check_schedule(config, checks);
  if (checks.usable({"job", "evaluate.split"}) && config.job() == "evaluate" &&
      config.evaluate().split().empty()) {
    checks.note("evaluate.split", "is empty: job evaluate needs a split");
  }
  checks.positive("schedule.length", config.schedule().length());
  checks.positive("evaluate.every", config.evaluate().every());
  checks.positive("checkpoint.every", config.checkpoint().every());
  const std::string& address = config.metrics().prometheus();
  if (!address.empty() && !parse_listen_address(address)) {
    checks.note("metrics.prometheus",
                fmt::format("is '{}': expected an address such as :9400 or 0.0.0.0:9400, with a "
                            "port of 0 to 65535",
                            address));
  }
}

}  // namespace bit::launcher
