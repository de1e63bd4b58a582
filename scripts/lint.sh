#!/usr/bin/env bash
# Formatting, clang-tidy and the order of the folders. clang-tidy looks again only at files whose
# text, or whose project headers, changed since it last found them clean.
set -euo pipefail
cd "$(dirname "$0")/.."

tests/check_layers .
mapfile -t sources < <(git ls-files '*.cc' '*.h')
clang-format --dry-run --Werror "${sources[@]}"
echo "clang-format: ok (${#sources[@]} files)"

stamp_dir=build/lint
mkdir -p "$stamp_dir"
headers=$(git ls-files 'src/*.h' .clang-tidy | xargs sha256sum | sha256sum | cut -c1-16)
todo=()
for source in $(git ls-files 'src/*.cc' 'tests/*.cc' 'fuzz/*.cc'); do
  key=$(sha256sum "$source" | cut -c1-16)-$headers
  [ -f "$stamp_dir/$key" ] || todo+=("$source:$stamp_dir/$key")
done
export LINT_BUILD=build
printf '%s\n' "${todo[@]:-}" | grep . | xargs -P "$(nproc)" -I{} bash -c '
  source=${1%%:*}; stamp=${1#*:}
  clang-tidy --quiet --extra-arg=-Wno-unknown-warning-option -p "$LINT_BUILD" "$source" 2>/dev/null || { echo "clang-tidy: $source" >&2; exit 1; }
  touch "$stamp"' _ {} || [ ${#todo[@]} -eq 0 ]
echo "clang-tidy: ok (${#todo[@]} files looked at)"
