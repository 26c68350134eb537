#include "launcher/prometheus_sink.h"

#include <fmt/core.h>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <chrono>
#include <system_error>
#include <utility>
#include <vector>

#include "launcher/config.h"
#include "launcher/config_fields.h"
#include "launcher/metrics_server.h"
#include "launcher/version.h"

namespace bit::launcher {
namespace {

using Buckets = prometheus::Histogram::BucketBoundaries;

// 1 ms, 2 ms, 4 ms ... 65.5 s.
Buckets doubling_seconds() {
  Buckets buckets;
  for (double bound = 0.001; bound < 66; bound *= 2) buckets.push_back(bound);
  return buckets;
}

std::unique_ptr<MetricsServer> serve(const std::string& address,
                                     const prometheus::Registry& registry) {
  const auto parsed = parse_listen_address(address);
  if (!parsed)
    throw ConfigError({{"metrics.prometheus", fmt::format("'{}' is no host:port", address)}});
  try {
    return std::make_unique<MetricsServer>(parsed->host, parsed->port, [&registry] {
      return prometheus::TextSerializer().Serialize(registry.Collect());
    });
  } catch (const std::system_error& error) {
    throw ConfigError(
        {{"metrics.prometheus", fmt::format("cannot listen on {}:{}: {}", parsed->host,
                                            parsed->port, error.code().message())}});
  }
}

// What the data loader of rank 0 does. Its counters are totals, which Prometheus takes as such.
class LoaderMetrics {
 public:
  explicit LoaderMetrics(prometheus::Registry& registry) : registry_(registry) {}

  void update(const pipeline::LoaderCounters& now) {
    const pipeline::LoaderCounters passed = pipeline::since(last_, now);
    images_.Increment(static_cast<double>(passed.images - passed.images_from_cache));
    cached_.Increment(static_cast<double>(passed.images_from_cache));
    pixels_.Increment(static_cast<double>(passed.pixels));
    read_bytes_.Increment(static_cast<double>(passed.bytes_read));
    read_seconds_.Increment(passed.read_busy_seconds);
    parse_seconds_.Increment(passed.parse_seconds);
    decode_seconds_.Increment(passed.decode_busy_seconds - passed.parse_seconds);
    records_wait_.Increment(passed.records_wait_seconds);
    room_wait_.Increment(passed.room_wait_seconds);
    consumer_wait_.Increment(passed.consumer_wait_seconds);
    buffered_.Set(static_cast<double>(now.buffered_bytes));
    buffered_limit_.Set(static_cast<double>(now.memory_limit));
    ready_.Set(now.ready_batches);
    ring_.Set(now.ring_batches);
    cache_.Set(static_cast<double>(now.cache_bytes));
    reader_threads_.Set(now.reader_threads);
    decoder_threads_.Set(now.decoder_threads);
    last_ = now;
  }

 private:
  using Counters = prometheus::Family<prometheus::Counter>;
  using Gauges = prometheus::Family<prometheus::Gauge>;
  Counters& counters(const char* name, const char* help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry_);
  }
  Gauges& gauges(const char* name, const char* help) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(registry_);
  }

  prometheus::Registry& registry_;
  pipeline::LoaderCounters last_;

  Counters& all_images_ = counters("bit_loader_images_total", "Images given, by where from");
  prometheus::Counter& images_ = all_images_.Add({{"source", "shards"}});
  prometheus::Counter& cached_ = all_images_.Add({{"source", "cache"}});
  prometheus::Counter& pixels_ =
      counters("bit_loader_pixels_total", "Pixels of the decoded images, before their crop")
          .Add({});
  prometheus::Counter& read_bytes_ =
      counters("bit_loader_read_bytes_total", "Bytes read from the shards").Add({});
  Counters& busy_ = counters("bit_loader_busy_seconds_total",
                             "Seconds of work, summed over the threads of a stage: read, parse "
                             "(checksum and record), decode (and resize)");
  prometheus::Counter& read_seconds_ = busy_.Add({{"stage", "read"}});
  prometheus::Counter& parse_seconds_ = busy_.Add({{"stage", "parse"}});
  prometheus::Counter& decode_seconds_ = busy_.Add({{"stage", "decode"}});
  Counters& wait_ = counters("bit_loader_wait_seconds_total",
                             "Seconds of waiting: decoder threads for records and for room in the "
                             "ring, the consumer for a batch");
  prometheus::Counter& records_wait_ = wait_.Add({{"for", "records"}});
  prometheus::Counter& room_wait_ = wait_.Add({{"for", "room"}});
  prometheus::Counter& consumer_wait_ = wait_.Add({{"for", "batch"}});
  prometheus::Gauge& buffered_ =
      gauges("bit_loader_buffered_bytes", "Encoded records in memory").Add({});
  prometheus::Gauge& buffered_limit_ =
      gauges("bit_loader_buffered_limit_bytes", "Most of them allowed; 0: no limit").Add({});
  prometheus::Gauge& ready_ =
      gauges("bit_loader_ready_batches", "Decoded batches that are not given back").Add({});
  prometheus::Gauge& ring_ = gauges("bit_loader_ring_batches", "Most of them there can be").Add({});
  prometheus::Gauge& cache_ = gauges("bit_loader_cache_bytes", "Memory of the image cache").Add({});
  Gauges& threads_ = gauges("bit_loader_threads", "Threads of a stage");
  prometheus::Gauge& reader_threads_ = threads_.Add({{"stage", "read"}});
  prometheus::Gauge& decoder_threads_ = threads_.Add({{"stage", "decode"}});
};

}  // namespace

struct PrometheusSink::Impl {
  explicit Impl(const std::string& address) {
    prometheus::BuildGauge()
        .Name("bit_build_info")
        .Help("1, with the version as a label")
        .Register(registry)
        .Add({{"version", version_line()}})
        .Set(1);
    server = serve(address, registry);
  }

  prometheus::Counter& counter(const char* name, const char* help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry).Add({});
  }
  prometheus::Gauge& gauge(const char* name, const char* help) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({});
  }
  prometheus::Histogram& histogram(const char* name, const char* help) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(registry).Add(
        {}, doubling_seconds());
  }
  prometheus::Histogram& phase(const char* name) {
    return phases.Add({{"phase", name}}, doubling_seconds());
  }

  // Only from its first value on: there is no time of a checkpoint before there is one.
  void set(prometheus::Gauge*& late, const char* name, const char* help, double value) {
    if (late == nullptr) late = &gauge(name, help);
    late->Set(value);
  }
  void set_last_success(double unix_seconds) {
    set(last_success, "bit_checkpoint_last_success_timestamp_seconds",
        "Unix time of the last published checkpoint", unix_seconds);
  }
  void set_top1(double ratio) {
    set(top1, "bit_eval_top1_ratio", "Top-1 accuracy of the last evaluation", ratio);
  }

  prometheus::Registry registry;

  prometheus::Histogram& step_seconds =
      histogram("bit_train_step_seconds", "Seconds of one update");
  prometheus::Family<prometheus::Histogram>& phases =
      prometheus::BuildHistogram()
          .Name("bit_train_phase_seconds")
          .Help("Seconds of an update by phase; the phases add up to it")
          .Register(registry);
  prometheus::Histogram& data_wait = phase("data_wait");
  prometheus::Histogram& forward = phase("forward");
  prometheus::Histogram& backward = phase("backward");
  prometheus::Histogram& comm_exposed = phase("comm_exposed");
  prometheus::Histogram& optimizer = phase("optimizer");
  prometheus::Histogram& checkpoint_blocked = phase("checkpoint_blocked");
  prometheus::Histogram& other = phase("other");
  prometheus::Counter& images =
      counter("bit_train_images_total", "Images trained on, over all ranks");
  prometheus::Counter& steps = counter("bit_train_steps_total", "Updates of this process");
  prometheus::Gauge& step = gauge("bit_train_step", "Updates in the weights");
  prometheus::Gauge& loss = gauge("bit_train_loss", "Mean loss of the last update");
  prometheus::Gauge& learning_rate = gauge("bit_train_learning_rate", "Rate of the last update");
  prometheus::Gauge& gradient_norm =
      gauge("bit_train_gradient_norm", "Norm of the last gradient, before clipping");
  prometheus::Gauge& parameter_norm =
      gauge("bit_train_parameter_norm", "Norm of all weights after the last update");
  prometheus::Gauge& update_norm = gauge("bit_train_update_norm", "Norm of the last update");
  prometheus::Counter& anomalies = counter(
      "bit_train_anomalies_total", "Steps with a loss or gradient that is not finite, or a spike");
  prometheus::Gauge& data_wait_ratio =
      gauge("bit_train_data_wait_ratio", "Share of the update spent waiting for data");
  prometheus::Histogram& checkpoint_seconds =
      histogram("bit_checkpoint_seconds", "Seconds from snapshot to published checkpoint");
  prometheus::Counter& checkpoint_failures =
      counter("bit_checkpoint_failures_total", "Checkpoints that failed");
  LoaderMetrics loader{registry};
  prometheus::Gauge* last_success = nullptr;
  prometheus::Gauge* top1 = nullptr;
  std::unique_ptr<MetricsServer> server;  // goes first: its thread reads the registry
};

PrometheusSink::PrometheusSink(const std::string& address)
    : impl_(std::make_unique<Impl>(address)) {}

PrometheusSink::~PrometheusSink() = default;

int PrometheusSink::port() const { return static_cast<int>(impl_->server->port()); }

void PrometheusSink::start(const trainer::StartReport& report) {
  impl_->step.Set(static_cast<double>(report.first_step));
  if (report.resumed_wall_time > 0) impl_->set_last_success(report.resumed_wall_time);
}

void PrometheusSink::step(const trainer::StepReport& report) {
  Impl& m = *impl_;
  m.steps.Increment();
  m.images.Increment(static_cast<double>(report.images));
  m.step.Set(static_cast<double>(report.step));
  m.loss.Set(report.loss);
  m.learning_rate.Set(report.learning_rate);
  if (report.updated) {
    m.gradient_norm.Set(report.gradient_norm);
    m.parameter_norm.Set(report.parameter_norm);
    m.update_norm.Set(report.update_norm);
  }
  m.data_wait_ratio.Set(report.step_seconds > 0 ? report.data_wait_seconds / report.step_seconds
                                                : 0);
  m.step_seconds.Observe(report.step_seconds);
  m.data_wait.Observe(report.data_wait_seconds);
  m.forward.Observe(report.forward_seconds);
  m.backward.Observe(report.backward_seconds);
  m.comm_exposed.Observe(report.comm_exposed_seconds);
  m.optimizer.Observe(report.optimizer_seconds);
  m.checkpoint_blocked.Observe(report.checkpoint_blocked_seconds);
  m.other.Observe(report.other_seconds);
  m.loader.update(report.loader);
}

void PrometheusSink::anomaly(const trainer::AnomalyReport& /*report*/) {
  impl_->anomalies.Increment();
}

void PrometheusSink::evaluation(const trainer::EvalReport& report) { impl_->set_top1(report.top1); }

void PrometheusSink::checkpoint(const trainer::CheckpointReport& report) {
  if (!report.ok) {
    impl_->checkpoint_failures.Increment();
    return;
  }
  impl_->checkpoint_seconds.Observe(report.seconds);
  impl_->set_last_success(
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count());
}

}  // namespace bit::launcher
