"""Nothing here reaches for a network, asks a question or draws a bar; imported before transformers.

The sandbox forbids it as well (docs/security.md); these variables make the libraries not try.
"""
import os
import tempfile

os.environ.update({
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "DISABLE_SAFETENSORS_CONVERSION": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TQDM_DISABLE": "1",
    "USE_HUB_KERNELS": "0",
    "TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1",
})

# Libraries ask for its name as they are imported, and it is looked for by writing, which is
# forbidden here. Nothing is written there.
tempfile.tempdir = os.environ.get("TMPDIR") or "/tmp"
