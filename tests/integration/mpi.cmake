# Ranks as processes. The test program starts mpirun itself, so that it sees exit codes and messages.
add_executable(mpi_collectives mpi_collectives.cpp)
bit_target_options(mpi_collectives)
set_target_properties(mpi_collectives PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
target_link_libraries(mpi_collectives PRIVATE bit_cluster bit_collectives_suite)

bit_test(mpi_ranks_test
  LABELS integration
  TIMEOUT 300
  SOURCES mpi_ranks_test.cpp
  LINK bit_test_support)
target_compile_definitions(mpi_ranks_test PRIVATE BIT_MPI_COLLECTIVES="$<TARGET_FILE:mpi_collectives>")
add_dependencies(mpi_ranks_test mpi_collectives)
