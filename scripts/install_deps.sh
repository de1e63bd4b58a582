#!/usr/bin/env bash
# install_deps.sh [dev]: installs what building the program needs and this machine lacks, from
# Debian's packages; with dev, what tests, lint and benchmarks need too. Quick and silent when nothing
# is missing. Needs root (or sudo) only when something is.
set -euo pipefail

packages=(cmake ninja-build g++ git python3 python3-pip pkg-config nlohmann-json3-dev libfmt-dev
  libcli11-dev libssl-dev libsentencepiece-dev libre2-dev libutf8proc-dev libcpp-httplib-dev ca-certificates)
if [ "${1:-}" = dev ]; then
  packages+=(libgtest-dev libgmock-dev libbenchmark-dev clang-format clang-tidy ccache)
fi

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' ||
    missing+=("$package")
done
# The commands below may also come from elsewhere than Debian (rustup, nvm): any that works will do.
command -v npm >/dev/null || missing+=(npm)
command -v cargo >/dev/null || missing+=(cargo-web rustc-web) # Debian 12's own cargo is too old

if [ ${#missing[@]} -eq 0 ]; then
  exit 0
fi
echo "install_deps: installing ${missing[*]}" >&2
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || {
    echo "install_deps: needs root; run: apt-get install ${missing[*]}" >&2
    exit 1
  }
  as_root=(sudo)
fi
"${as_root[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends \
  "${missing[@]}" >/dev/null
