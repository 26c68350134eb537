# ./dev test [--oracles]: everything that has to hold before a change is taken.
. cmake/dev/lint.sh
. cmake/dev/oracle.sh

run_test() {
  local wanted=(-LE oracle)
  case ${1:-} in
    "") ;;
    --oracles) wanted=() ;;
    *) fail "./dev test does not know '$1'" "./dev test [--oracles]" ;;
  esac
  setup "${kLintPackages[@]}"
  step "Configure (release)" configure release
  step "Format" check_format
  step "Build (release)" compile release
  ((${#wanted[@]} > 0)) || step "Oracles" ensure_oracles
  prepare_mpi
  step "Tests" ctest --test-dir build/release --output-on-failure --no-tests=error "${wanted[@]}"
}
