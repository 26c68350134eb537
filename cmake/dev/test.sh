# ./dev test [--oracles]: everything that has to hold before a change is taken.
. cmake/dev/lint.sh
. cmake/dev/oracle.sh

run_test() {
  local wanted=(-LE oracle)
  [[ ${1:-} != --oracles ]] || wanted=()
  setup "${kLintPackages[@]}"
  step "Configure (release)" configure release
  step "Format" check_format
  step "Build (release)" compile release
  step "clang-tidy" check_tidy
  ((${#wanted[@]} > 0)) || step "Oracles" ensure_oracles
  prepare_mpi
  step "Tests" ctest --test-dir build/release --parallel "$(jobs)" --output-on-failure --no-tests=error "${wanted[@]}"
}
