# Imports libtorch_cpu and libc10 from BIT_LIBTORCH (the `torch` folder of the PyPI wheel, or any LibTorch >= 2.4).
# The wheel's own TorchConfig.cmake insists on a CUDA toolkit and a newer CMake; the two libraries do not need them.
# Its include folder carries its own copies of protobuf, fmt and others, so it is added last (-idirafter).
find_path(LibTorch_INCLUDE_DIR torch/csrc/api/include/torch/torch.h
          PATHS ${BIT_LIBTORCH}/include NO_DEFAULT_PATH)
find_library(LibTorch_CPU_LIBRARY torch_cpu PATHS ${BIT_LIBTORCH}/lib NO_DEFAULT_PATH)
find_library(LibTorch_C10_LIBRARY c10 PATHS ${BIT_LIBTORCH}/lib NO_DEFAULT_PATH)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorch
  REQUIRED_VARS LibTorch_CPU_LIBRARY LibTorch_C10_LIBRARY LibTorch_INCLUDE_DIR
  REASON_FAILURE_MESSAGE "Run ./dev setup, which puts the pinned wheel in build/deps, or pass -DBIT_LIBTORCH=FOLDER.")

if(LibTorch_FOUND AND NOT TARGET LibTorch::torch)
  add_library(LibTorch::torch INTERFACE IMPORTED)
  target_compile_options(LibTorch::torch INTERFACE
    "SHELL:-idirafter ${LibTorch_INCLUDE_DIR}"
    "SHELL:-idirafter ${LibTorch_INCLUDE_DIR}/torch/csrc/api/include")
  # The wheel's libraries load the CUDA runtime through their own run path, relative to the wheel; the linker is told
  # not to resolve those second-level names, and the program finds the wheel through its build-tree run path.
  target_link_libraries(LibTorch::torch INTERFACE ${LibTorch_CPU_LIBRARY} ${LibTorch_C10_LIBRARY})
  target_link_options(LibTorch::torch INTERFACE
    -Wl,--unresolved-symbols=ignore-in-shared-libs -Wl,-rpath,${BIT_LIBTORCH}/lib)
endif()
