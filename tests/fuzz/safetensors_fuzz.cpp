// Any bytes as a safetensors file: refused, or tensors that tile the data of the file.
#include <cstdint>
#include <span>

#include "storage/safetensors.h"
#include "storage/tfrecord.h"
#include "tests/fuzz/fuzz_check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using bit::test::fuzz_check;
  const auto file = std::as_bytes(std::span(data, size));
  try {
    const auto header = bit::storage::parse_safetensors(file);
    fuzz_check(header.data_offset <= size, "the header lies in the file");
    const std::byte* end = file.data() + header.data_offset;
    for (const auto& tensor : header.tensors) {
      fuzz_check(tensor.bytes.data() == end, "a tensor starts where the one before ends");
      end += tensor.bytes.size();
      std::uint64_t elements = 1;
      for (const std::int64_t dimension : tensor.shape) {
        elements *= static_cast<std::uint64_t>(dimension);
      }
      fuzz_check(elements * bit::storage::dtype_bytes(tensor.dtype) == tensor.bytes.size(),
                 "a tensor's shape matches its bytes");
    }
    fuzz_check(end == file.data() + size, "the tensors fill the file");
  } catch (const bit::storage::DataError&) {
  }
  return 0;
}
