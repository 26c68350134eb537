// bit-model diff: two sets of weights, tensor by tensor, whatever files they are in.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "launcher/exit_code.h"
#include "launcher/model_commands/commands.h"
#include "launcher/words.h"
#include "trainer/weight_check.h"

namespace bit::launcher {
namespace {

using trainer::SourceWeight;
using trainer::WeightSource;

struct Difference {
  double absolute = 0;  // the largest of an element
  double largest = 0;   // element of either side, without its sign
  double relative() const { return absolute > 0 ? absolute / largest : 0; }
};

Difference compare(const std::vector<float>& a, const std::vector<float>& b) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  Difference difference;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const auto x = static_cast<double>(a[i]);
    const auto y = static_cast<double>(b[i]);
    if (std::isfinite(x)) difference.largest = std::max(difference.largest, std::abs(x));
    if (std::isfinite(y)) difference.largest = std::max(difference.largest, std::abs(y));
    const bool same = x == y || (std::isnan(x) && std::isnan(y));
    const double distance = std::isfinite(x) && std::isfinite(y) ? std::abs(x - y) : kInfinity;
    if (!same) difference.absolute = std::max(difference.absolute, distance);
  }
  return difference;
}

struct Counts {
  std::uint64_t equal = 0, different = 0, other_shape = 0, only_a = 0, only_b = 0;
  bool none() const { return different + other_shape + only_a + only_b == 0; }
};

class Diff {
 public:
  explicit Diff(const DiffRequest& request) : request_(request), a_(request.a), b_(request.b) {}

  Counts run() {
    for (const SourceWeight& weight : a_.weights()) {
      if (!wanted(weight)) continue;
      const SourceWeight* other = b_.find(weight.name);
      if (other == nullptr) {
        print_only("A", weight);
        ++counts_.only_a;
      } else {
        compare_both(weight, *other);
      }
    }
    for (const SourceWeight& weight : b_.weights()) {
      if (!wanted(weight) || a_.find(weight.name) != nullptr) continue;
      print_only("B", weight);
      ++counts_.only_b;
    }
    return counts_;
  }
  double largest_relative() const { return largest_relative_; }

 private:
  bool wanted(const SourceWeight& weight) const {
    return request_.head || !trainer::is_head(weight.name);
  }
  static void print_only(const char* side, const SourceWeight& weight) {
    fmt::print("only in {}   {} {}\n", side, weight.name, trainer::shape_text(weight.shape));
  }
  void compare_both(const SourceWeight& weight, const SourceWeight& other) {
    if (weight.shape != other.shape) {
      fmt::print("shape       {} {} in A, {} in B\n", weight.name,
                 trainer::shape_text(weight.shape), trainer::shape_text(other.shape));
      ++counts_.other_shape;
      return;
    }
    values_a_.resize(weight.elements);
    values_b_.resize(other.elements);
    a_.read(weight, values_a_);
    b_.read(other, values_b_);
    const Difference difference = compare(values_a_, values_b_);
    largest_relative_ = std::max(largest_relative_, difference.relative());
    if (difference.relative() <= request_.tolerance) {
      ++counts_.equal;
      return;
    }
    fmt::print("values      {} {}: largest difference {:.3g}, relative {:.3g}\n", weight.name,
               trainer::shape_text(weight.shape), difference.absolute, difference.relative());
    ++counts_.different;
  }

  const DiffRequest& request_;
  WeightSource a_, b_;
  std::vector<float> values_a_, values_b_;
  Counts counts_;
  double largest_relative_ = 0;
};

}  // namespace

int diff(const DiffRequest& request) {
  Diff diff(request);
  const Counts counts = diff.run();
  fmt::print(
      "{} equal, {} of other values, {} of another shape, {} only in A, {} only in B; largest "
      "relative difference {:.3g}\n",
      counted(counts.equal, "tensor"), counts.different, counts.other_shape, counts.only_a,
      counts.only_b, diff.largest_relative());
  return counts.none() ? kDone : kDifferent;
}

}  // namespace bit::launcher
