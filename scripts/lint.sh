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
headers=$(git ls-files '*.h' .clang-tidy tests/.clang-tidy | xargs sha256sum | sha256sum | cut -c1-16)
# What CMake does not compile here, workers and benchmarks, is told how; workers need an engine's
# headers.
engine=.cache/engines/llama-v0.5.0/include
others=$(git ls-files 'bench/*.cc')
if [ -d $engine ]; then
  others+=" $(git ls-files 'workers/*.cc')"
else
  echo "clang-tidy: workers left out: no $engine, make engines brings it" >&2
fi
todo=()
for source in $(git ls-files 'src/*.cc' 'tests/*.cc' 'fuzz/*.cc') $others; do
  key=$(sha256sum "$source" | cut -c1-16)-$headers
  [ -f "$stamp_dir/$key" ] || todo+=("$source:$stamp_dir/$key")
done
export engine
printf '%s\n' "${todo[@]:-}" | grep . | xargs -P "$(nproc)" -I{} bash -c '
  source=${1%%:*}; stamp=${1#*:}
  how=(-p build)
  case $source in
    workers/* | bench/*)
      how=(-- -std=c++20 -Isrc -I"$engine" "-DCROSSVAL_ENGINE_NAME=\"x\""
        "-DCROSSVAL_ENGINE_VERSION=\"\"") ;;
  esac
  clang-tidy --quiet --extra-arg=-Wno-unknown-warning-option "$source" "${how[@]}" 2>/dev/null || {
    echo "clang-tidy: $source" >&2; exit 1; }
  touch "$stamp"' _ {} || [ ${#todo[@]} -eq 0 ]
echo "clang-tidy: ok (${#todo[@]} files looked at)"
