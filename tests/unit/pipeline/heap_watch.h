// Counts what a program takes from the heap, libraries included, and can refuse it: malloc and its
// relatives are replaced in the program that heap_watch.cpp is linked into (glibc's way; the
// sanitizers bring their own).
#pragma once

#include <cstddef>

namespace bit::test {

std::size_t heap_allocations();  // since the program's start, of all threads

// While it lives, requests of more bytes than this fail.
class HeapLimit {
 public:
  explicit HeapLimit(std::size_t bytes);
  ~HeapLimit();
  HeapLimit(const HeapLimit&) = delete;
  HeapLimit& operator=(const HeapLimit&) = delete;
};

}  // namespace bit::test
