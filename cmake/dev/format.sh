# ./dev format: rewrites the project's C++ files. ./dev lint checks the same list.

# The C++ files of the project, one a line, whether committed yet or not.
cpp_files() {
  if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
    git ls-files --cached --others --exclude-standard -- "$@" | while read -r file; do
      [[ ! -e $file ]] || printf '%s\n' "$file"
    done
  else
    find . -path ./build -prune -o -name "${1#\*}*" -print | sed 's|^\./||'
  fi
}

ensure_formatter() {
  step "Debian packages" ensure_packages "${kLintPackages[@]}"
}

run_format() {
  ensure_formatter
  step "Format" rewrite_files
}

rewrite_files() {
  cpp_files '*.h' '*.cpp' | xargs clang-format-14 -i
  echo "all C++ files have the format of .clang-format"
}
