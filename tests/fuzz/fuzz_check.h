// What must hold whatever the bytes are; unlike assert() it stays in optimised builds.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace bit::test {

inline void fuzz_check(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

}  // namespace bit::test
