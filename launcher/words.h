// Words for messages: the name that was probably meant, lists, counts. Needs nothing but the
// standard library: all programs use it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bit::launcher {

// The nearest of `names` by edit distance (a swap of neighbours counts once); nullopt when none is
// near.
std::optional<std::string> nearest(std::string_view text, const std::vector<std::string>& names);

// "a, b, c"
std::string joined(const std::vector<std::string>& words, std::string_view separator = ", ");

// "1 rank", "2 ranks"
std::string counted(std::uint64_t count, std::string_view noun);

// What follows the name of an unknown `text`: "there are test, train; did you mean 'train'?"
std::string known_names(std::string_view text, const std::vector<std::string>& names);

}  // namespace bit::launcher
