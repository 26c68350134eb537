# Imports libtorch_cpu and libc10 from BIT_LIBTORCH (the `torch` folder of the PyPI wheel, or any LibTorch >= 2.4).
# The wheel's own TorchConfig.cmake insists on a CUDA toolkit and a newer CMake; the two libraries do not need them.
# Its include folder carries its own copies of protobuf, fmt and others, so it is added last (-idirafter).
find_path(LibTorch_INCLUDE_DIR torch/csrc/api/include/torch/torch.h
          PATHS ${BIT_LIBTORCH}/include NO_DEFAULT_PATH)
find_library(LibTorch_CPU_LIBRARY torch_cpu PATHS ${BIT_LIBTORCH}/lib NO_DEFAULT_PATH)
find_library(LibTorch_C10_LIBRARY c10 PATHS ${BIT_LIBTORCH}/lib NO_DEFAULT_PATH)
# The OpenMP run time the library itself runs on: at::parallel_for is compiled into our files and has to share its threads.
find_library(LibTorch_OPENMP_LIBRARY NAMES libgomp.so.1 gomp PATHS ${BIT_LIBTORCH}/lib NO_DEFAULT_PATH)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorch
  REQUIRED_VARS LibTorch_CPU_LIBRARY LibTorch_C10_LIBRARY LibTorch_INCLUDE_DIR
  REASON_FAILURE_MESSAGE "Run ./dev setup, which puts the pinned wheel in build/deps, or pass -DBIT_LIBTORCH=FOLDER.")

if(LibTorch_FOUND AND NOT TARGET LibTorch::torch)
  add_library(LibTorch::torch INTERFACE IMPORTED)
  target_compile_options(LibTorch::torch INTERFACE
    "SHELL:-idirafter ${LibTorch_INCLUDE_DIR}"
    "SHELL:-idirafter ${LibTorch_INCLUDE_DIR}/torch/csrc/api/include")
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # Everywhere or nowhere: without it at::parallel_for runs on one thread, and mixing both breaks the one-definition rule.
    target_compile_options(LibTorch::torch INTERFACE -fopenmp)
    if(LibTorch_OPENMP_LIBRARY)
      target_link_libraries(LibTorch::torch INTERFACE ${LibTorch_OPENMP_LIBRARY})
    else()
      target_link_options(LibTorch::torch INTERFACE -fopenmp)
    endif()
  endif()
  # The wheel's libraries load the CUDA runtime through their own run path, relative to the wheel; the linker is told
  # not to resolve those second-level names, and the program finds the wheel through its build-tree run path.
  target_link_libraries(LibTorch::torch INTERFACE ${LibTorch_CPU_LIBRARY} ${LibTorch_C10_LIBRARY})
  target_link_options(LibTorch::torch INTERFACE
    -Wl,--unresolved-symbols=ignore-in-shared-libs -Wl,-rpath,${BIT_LIBTORCH}/lib)
endif()
