"""A real llama-server for tests: llama.cpp's own server, as xllamacpp's wheel holds it.

llama_server.py FOLDER MODEL PORT [NAME=VALUE ...]: FOLDER has the package; values are those of its
CommonParams, kv=F32 both cache types. Ends when its stdin does.
"""

import sys

sys.path.insert(0, sys.argv[1])
import xllamacpp  # noqa: E402

params = xllamacpp.CommonParams()
params.model.path = sys.argv[2]
params.port = int(sys.argv[3])
params.hostnames = ["127.0.0.1"]
params.n_ctx = 1024
params.n_parallel = 1
params.cpuparams.n_threads = 1  # threads that spin wait for one another on a busy machine
params.warmup = False
params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
for setting in sys.argv[4:]:
    name, value = setting.split("=", 1)
    if name == "kv":
        params.cache_type_k = params.cache_type_v = getattr(xllamacpp.ggml_type, "GGML_TYPE_" + value)
    else:
        setattr(params, name, type(getattr(params, name))(value))
server = xllamacpp.Server(params)
sys.stdin.read()
