#!/usr/bin/env python3
"""make_models.py ARCHS GROUPS OUT: the models of tests/realbugs/run. Needs PyPI gguf and numpy.

ARCHS: what llama.cpp's `test-llama-archs -o ARCHS -s 77 -d 0.4` writes. GROUPS: the same of mamba2
alone, with SSM_TIME_STEP_RANK 8 in its source, so that 8 heads share 2 groups; "" leaves that out.
Real converters write no keys of value zero and no `.scale` beside weights, and old engines refuse
what they do not know: OUT/z has the models as a converter would write them, with 8 layers made of
those that are there; OUT/nb also without the biases of attention; OUT/archs as they are, but for the
vocabulary, whose kind "test" only the generator's own release knows; OUT/tiny two without
rope_freqs, which the engines of their rows do not read either. OUT/tiny/iq3_xxs.gguf is a llama of
F32 matrices of 512 columns whose layers went through the engine's own quantiser with an importance
matrix of ones: it is not made here, and its row is skipped without."""
import glob
import os
import re
import sys

import numpy as np
from gguf import GGUFReader, GGUFValueType, GGUFWriter

N_LAYERS = 8
SCALES = r"\.(input_)?scale$"
BIASES = r"|attn_(q|k|v|qkv)\.bias$|^cls"
OTHERWISE = ("residual_scale", "expert_group_scale", "name", "rope_pattern")


def is_empty(key, field, arch):
    value = field.contents()
    if field.types[0] == GGUFValueType.ARRAY:
        return (not value or all(x == 0 for x in value) or "sliding_window_pattern" in key
                or key.startswith("xielu") or "deepstack" in key)
    return (value in (0, 0.0, False, -1, 4294967295) or value == float("-inf")
            or key.endswith(OTHERWISE) or ("scaling" in key and arch != "deepseek2"))


def write(reader, path, keys, tensors):
    writer = GGUFWriter(path, reader.fields["general.architecture"].contents())
    for key, (value, types) in keys.items():
        sub_type = types[-1] if types[0] == GGUFValueType.ARRAY else None
        writer.add_key_value(key, value, types[0], sub_type=sub_type)
    for name, data, kind in tensors:
        is_float = kind.name in ("F32", "F16")
        writer.add_tensor(name, np.ascontiguousarray(data), raw_dtype=None if is_float else kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def all_keys(reader):
    keys = {}
    for key, field in reader.fields.items():
        if key.startswith("GGUF.") or key == "general.architecture":
            continue
        value = field.contents()
        if field.types[0] == GGUFValueType.ARRAY and not value:
            continue  # cannot be written
        if key == "tokenizer.ggml.model" and value == "test":
            value = "gpt2"
        keys[key] = (value, field.types)
    keys.setdefault("tokenizer.ggml.merges",
                    (["a b"], [GGUFValueType.ARRAY, GGUFValueType.STRING]))
    return keys


def as_converted(reader, path, unwanted):
    arch = reader.fields["general.architecture"].contents()
    n = reader.fields[arch + ".block_count"].contents()
    keys = {}
    for key, (value, types) in all_keys(reader).items():
        if not key.startswith("tokenizer") and is_empty(key, reader.fields[key], arch):
            continue
        is_list = types[0] == GGUFValueType.ARRAY and not key.startswith("tokenizer")
        if is_list and len(value) == n and "sections" not in key:
            value = [value[i % n] for i in range(N_LAYERS)]
        keys[key] = (value, types)
    keys[arch + ".block_count"] = (N_LAYERS, [GGUFValueType.UINT32])
    kept = [t for t in reader.tensors if not re.search(unwanted, t.name)]
    tensors = [(t.name, t.data, t.tensor_type) for t in kept]
    for layer in range(n, N_LAYERS):
        prefix = f"blk.{layer % n}."
        for t in kept:
            if t.name.startswith(prefix):
                turned = t.data.ndim >= 2 and "ssm" not in t.name
                data = np.roll(t.data, layer, axis=-1) if turned else t.data
                tensors.append((t.name.replace(prefix, f"blk.{layer}."), data, t.tensor_type))
    write(reader, path, keys, tensors)


def main(archs, groups, out):
    for folder in ("z", "nb", "archs", "groups", "tiny"):
        os.makedirs(os.path.join(out, folder), exist_ok=True)
    for path in sorted(glob.glob(archs + "/*.gguf")):
        reader, name = GGUFReader(path), os.path.basename(path)
        write(reader, f"{out}/archs/{name}", all_keys(reader),
              [(t.name, t.data, t.tensor_type) for t in reader.tensors])
        as_converted(reader, f"{out}/z/{name}", SCALES)
        as_converted(reader, f"{out}/nb/{name}", SCALES + BIASES)
    for name, tiny in (("minicpm-dense", "minicpm"), ("llama-moe", "moe")):
        as_converted(GGUFReader(f"{archs}/{name}.gguf"), f"{out}/tiny/{tiny}.gguf",
                     SCALES + r"|^rope_freqs")
    for path in glob.glob(groups + "/*.gguf") if groups else []:
        as_converted(GGUFReader(path), f"{out}/groups/{os.path.basename(path)}", SCALES)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
