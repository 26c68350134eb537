#include "trainer/gradient_reducer.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/utils/lambda_post_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <stop_token>
#include <thread>
#include <unordered_map>

#include "trainer/text_lines.h"

namespace bit::trainer {
namespace {

using cluster::PendingCollective;

// How often the progress thread asks the transport to move on while backward computes.
constexpr std::chrono::microseconds kProgressInterval{200};

using Accumulator =
    decltype(torch::autograd::impl::grad_accumulator(std::declval<const at::Tensor&>()));

// Positions of `names` in `parameters`: every parameter once.
std::vector<std::size_t> positions_of(const std::vector<std::string>& names,
                                      const std::vector<Parameter>& parameters) {
  std::unordered_map<std::string, std::size_t> position;
  for (std::size_t i = 0; i < parameters.size(); ++i) position[parameters[i].name] = i;
  std::vector<std::size_t> order;
  for (const std::string& name : names) {
    const auto found = position.find(name);
    if (found == position.end()) {
      throw std::invalid_argument("gradient reducer: the ready order names " + name +
                                  ", which is not a parameter or is there twice");
    }
    order.push_back(found->second);
    position.erase(found);
  }
  if (!position.empty()) {
    throw std::invalid_argument("gradient reducer: the ready order lacks " +
                                position.begin()->first);
  }
  return order;
}

}  // namespace

std::vector<GradientReducer::Bucket> plan_buckets(const std::vector<std::uint64_t>& bytes,
                                                  const std::vector<std::size_t>& ready_order,
                                                  const ReducerOptions& options) {
  std::vector<GradientReducer::Bucket> buckets;
  for (const std::size_t parameter : ready_order) {
    const std::uint64_t limit =
        buckets.size() <= 1 ? options.first_bucket_bytes : options.bucket_bytes;
    if (buckets.empty() || buckets.back().bytes + bytes[parameter] > limit) buckets.emplace_back();
    buckets.back().parameters.push_back(parameter);
    buckets.back().bytes += bytes[parameter];
  }
  return buckets;
}

// The thread that calls backward packs and starts; the progress thread only tests. `mutex` guards
// the communicator and what both touch.
struct GradientReducer::Impl {
  // A parameter's place in the flat buffer of its bucket.
  struct Slot {
    std::size_t bucket = 0;
    at::Tensor view;        // fp32, with the leaf's shape and strides
    bool gathered = false;  // the view holds gradients of this update
    bool ready = false;
  };
  struct Flight {
    at::Tensor flat;              // fp32, all gradients of the bucket one after another
    std::size_t waiting_for = 0;  // parameters whose gradients are not in it yet
    std::unique_ptr<PendingCollective> pending;
    bool done = false;
  };

  cluster::Communicator& communicator;
  std::vector<Parameter> parameters;
  ReducerOptions options;
  std::vector<std::string> ready_order;  // empty until it is agreed
  std::vector<Bucket> buckets;
  std::vector<Slot> slots;      // [parameter]
  std::vector<Flight> flights;  // [bucket]
  std::vector<std::size_t> observed;
  bool active = false;

  std::vector<Accumulator> accumulators;
  std::vector<std::uintptr_t> hooks;

  std::mutex mutex;
  std::condition_variable_any wake;
  std::size_t started = 0;  // buckets whose all-reduce was started
  std::size_t tested = 0;   // of those, the first not known to be done
  std::exception_ptr failure;
  std::jthread progress;  // last: it ends before what it uses

  Impl(cluster::Communicator& ranks, const std::vector<Parameter>& all,
       const ReducerOptions& reducer_options, const std::vector<std::string>& order)
      : communicator(ranks), parameters(all), options(reducer_options), ready_order(order) {}

  bool alone() const { return communicator.size() == 1; }

  std::vector<std::size_t> backward_order() const {
    std::vector<std::size_t> order(parameters.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = order.size() - 1 - i;
    return order;
  }

  void build_buckets(const std::vector<std::size_t>& order) {
    std::vector<std::uint64_t> bytes;
    for (const Parameter& parameter : parameters) {
      bytes.push_back(static_cast<std::uint64_t>(parameter.value.numel()) * sizeof(float));
    }
    buckets = plan_buckets(bytes, order, options);
    slots.assign(parameters.size(), Slot());
    flights.clear();
    for (std::size_t b = 0; b < buckets.size(); ++b) {
      Flight& flight = flights.emplace_back();
      for (const std::size_t i : buckets[b].parameters) slots[i].bucket = b;
      if (!alone()) allocate(flight, buckets[b]);
    }
  }

  void allocate(Flight& flight, const Bucket& bucket) {
    flight.flat = at::empty({static_cast<std::int64_t>(bucket.bytes / sizeof(float))}, at::kFloat);
    std::int64_t offset = 0;
    for (const std::size_t i : bucket.parameters) {
      const at::Tensor& leaf = parameters[i].leaf();
      slots[i].view = flight.flat.as_strided(leaf.sizes(), leaf.strides(), offset);
      offset += leaf.numel();
    }
  }

  void add_hooks() {
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      // Autograd holds its accumulators weakly: without this they would go, and the hooks with
      // them.
      accumulators.push_back(torch::autograd::impl::grad_accumulator(parameters[i].leaf()));
      hooks.push_back(
          accumulators[i]->add_post_hook(std::make_unique<torch::autograd::utils::LambdaPostHook>(
              [this, i](const std::vector<at::Tensor>& outputs, const std::vector<at::Tensor>&) {
                if (active) {
                  gradient_is_ready(i);
                } else {
                  gather(i);
                }
                return outputs;
              })));
    }
  }

  // In the thread that calls backward, after the gradient was added to .grad().
  void gradient_is_ready(std::size_t i) {
    if (slots[i].ready) return;
    observed.push_back(i);
    pack(i);
    start_full_buckets();
  }

  void pack(std::size_t i) {
    Slot& slot = slots[i];
    slot.ready = true;
    --flights[slot.bucket].waiting_for;
    if (alone() && !slot.gathered) return;  // the only gradient stays where it is
    gather(i);
    if (!slot.gathered) slot.view.zero_();
  }

  // Moves the gradient into the sum of this update, which is fp32 whatever the leaf is.
  void gather(std::size_t i) {
    const at::NoGradGuard no_grad;
    Slot& slot = slots[i];
    at::Tensor& gradient = parameters[i].leaf().mutable_grad();
    if (!gradient.defined()) return;
    if (!slot.view.defined()) allocate(flights[slot.bucket], buckets[slot.bucket]);
    if (slot.gathered) {
      slot.view.add_(gradient);
    } else {
      slot.view.copy_(gradient);
    }
    slot.gathered = true;
    gradient = at::Tensor();
  }

  // Strictly in the order of the buckets, which is the same on all ranks; gradients may become
  // ready in another.
  void start_full_buckets() {
    if (alone()) return;
    const std::lock_guard lock(mutex);
    const std::size_t before = started;
    while (!failure && started < flights.size() && flights[started].waiting_for == 0) {
      Flight& flight = flights[started];
      try {
        flight.pending = communicator.start_all_reduce(
            flight.flat.mutable_data_ptr(), static_cast<std::size_t>(flight.flat.numel()),
            cluster::ReduceType::kF32, cluster::ReduceOp::kSum);
      } catch (...) {
        failure = std::current_exception();  // finish() throws it: not through autograd
        return;
      }
      ++started;
    }
    if (started != before) wake.notify_all();
  }

  // Makes the transport progress while backward computes.
  void make_progress(const std::stop_token& stop) {
    std::unique_lock lock(mutex);
    while (!stop.stop_requested()) {
      if (!wake.wait(lock, stop, [this] { return tested < started && !failure; })) return;
      try {
        while (tested < started && flights[tested].pending->test()) {
          flights[tested].done = true;
          ++tested;
        }
      } catch (...) {
        failure = std::current_exception();
      }
      if (tested < started) wake.wait_for(lock, stop, kProgressInterval, [] { return false; });
    }
  }

  void wait_for_all() {
    const std::lock_guard lock(mutex);
    if (failure) std::rethrow_exception(failure);
    for (; tested < started; ++tested) {
      if (!flights[tested].done) flights[tested].pending->wait();
    }
    for (Flight& flight : flights) flight.pending.reset();
  }

  // Once: the order that rank 0 saw becomes everybody's.
  void agree_on_order() {
    std::vector<std::string> names;
    for (const std::size_t i : observed) names.push_back(parameters[i].name);
    for (const std::size_t i : backward_order()) {
      if (std::find(observed.begin(), observed.end(), i) == observed.end()) {
        names.push_back(parameters[i].name);
      }
    }
    if (!alone()) {
      const std::lock_guard lock(mutex);
      names = split_lines(communicator.broadcast(join_lines(names), 0));
    }
    build_buckets(positions_of(names, parameters));
    ready_order = std::move(names);
  }
};

GradientReducer::GradientReducer(cluster::Communicator& communicator,
                                 const std::vector<Parameter>& parameters,
                                 const ReducerOptions& options,
                                 const std::vector<std::string>& ready_order)
    : impl_(std::make_unique<Impl>(communicator, parameters, options, ready_order)) {
  impl_->build_buckets(ready_order.empty() ? impl_->backward_order()
                                           : positions_of(ready_order, parameters));
  impl_->add_hooks();
  if (!impl_->alone()) {
    impl_->progress = std::jthread(
        [impl = impl_.get()](const std::stop_token& stop) { impl->make_progress(stop); });
  }
}

GradientReducer::~GradientReducer() {
  for (std::size_t i = 0; i < impl_->hooks.size(); ++i) {
    impl_->accumulators[i]->del_post_hook(impl_->hooks[i]);
  }
}

void GradientReducer::begin() {
  if (impl_->active) throw std::logic_error("gradient reducer: begin() without finish()");
  for (auto& slot : impl_->slots) slot.ready = false;
  const std::lock_guard lock(impl_->mutex);
  for (std::size_t b = 0; b < impl_->flights.size(); ++b) {
    impl_->flights[b].waiting_for = impl_->buckets[b].parameters.size();
    impl_->flights[b].done = false;
  }
  impl_->started = impl_->tested = 0;
  impl_->observed.clear();
  impl_->active = true;
}

void GradientReducer::finish() {
  Impl& impl = *impl_;
  if (!impl.active) throw std::logic_error("gradient reducer: finish() without begin()");
  impl.active = false;
  for (std::size_t i = 0; i < impl.slots.size(); ++i) {
    if (!impl.slots[i].ready) impl.pack(i);
  }
  impl.start_full_buckets();
  impl.wait_for_all();

  const at::NoGradGuard no_grad;
  for (std::size_t i = 0; i < impl.parameters.size(); ++i) {
    Impl::Slot& slot = impl.slots[i];
    at::Tensor& gradient = impl.parameters[i].leaf().mutable_grad();
    if (!impl.alone() || slot.gathered) {
      gradient = slot.view;
    } else if (!gradient.defined()) {
      gradient = at::zeros_like(impl.parameters[i].leaf().detach());
    }
    slot.gathered = false;
  }
  if (impl.ready_order.empty()) impl.agree_on_order();
}

const std::vector<std::string>& GradientReducer::ready_order() const { return impl_->ready_order; }

const std::vector<GradientReducer::Bucket>& GradientReducer::buckets() const {
  return impl_->buckets;
}

}  // namespace bit::trainer
