// Which program this is and what it was built with; --version of all programs.
#pragma once

#include <string>
#include <vector>

namespace bit::launcher {

// "bit 0.1.0 (0123abcd)": version and commit at the time of configuring.
std::string version_line();
// version_line(), then compiler, LibTorch, MPI and the features of this CPU that matter, a line
// each.
std::string version_text();
// Those of "avx2 fma avx512f avx512_bf16 amx_bf16" that this CPU has (/proc/cpuinfo).
std::vector<std::string> cpu_features();

}  // namespace bit::launcher
