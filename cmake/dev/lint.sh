# ./dev lint: the format of every C++ file, then clang-tidy over every .cpp file of the release build.
. cmake/dev/format.sh

check_format() {
  cpp_files '*.h' '*.cpp' | xargs clang-format-14 --dry-run -Werror ||
    fail "files are not formatted; they are named above" "./dev format"
  echo "$(cpp_files '*.h' '*.cpp' | wc -l) files have the format of .clang-format"
}

check_tidy() {
  python cmake/dev/run_tidy.py --build build/release --state build/lint --jobs "$(jobs)" ||
    fail "clang-tidy found something; see above" "change the code; a check that is wrong here goes into .clang-tidy with its reason"
}

run_lint() {
  setup "${kLintPackages[@]}"
  step "Configure (release)" configure release
  step "Generated headers" cmake --build build/release --target bit_schemas --parallel "$(jobs)"
  step "Format" check_format
  step "clang-tidy" check_tidy
}
