#!/usr/bin/env python3
"""make_models.py ARCHS OUT: the models of tests/realbugs/run. Needs PyPI gguf and numpy.

ARCHS: what llama.cpp's `test-llama-archs -o ARCHS -s 77 -d 0.4` writes. Real converters write no
keys of value zero and no `.scale` beside weights, and old engines refuse what they do not know: OUT/z
has the models as a converter would write them, with 8 layers made of those that are there; OUT/nb
also without the biases of attention; OUT/archs as they are, but for the vocabulary, whose kind "test"
only the generator's own release knows; OUT/groups mamba2 with 8 heads in 2 groups, where their order
tells; OUT/tiny two without rope_freqs, which the engines of their rows do not read either, and three
llamas whose matrices are random codes: IQ3_XXS and IQ4_XS (the layers'), IQ2_BN (all)."""
import glob
import os
import re
import sys

import numpy as np
from gguf import (GGML_QUANT_SIZES, GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter)

N_LAYERS = 8
SCALES = r"\.(input_)?scale$"
BIASES = r"|attn_(q|k|v|qkv)\.bias$|^cls"
IQ2_BN = 135  # GGML_TYPE_IQ2_BN of ik_llama.cpp's ggml.h, which PyPI gguf does not know
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
        data = np.ascontiguousarray(data)
        if kind == IQ2_BN:
            shape = (data.shape[0], (data.shape[1] - 4) * 4)
            writer.add_tensor(name, data.view(np.int8), raw_shape=shape, raw_dtype=kind)
        else:
            is_float = kind.name in ("F32", "F16")
            writer.add_tensor(name, data, raw_dtype=None if is_float else kind)
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


def with_8_heads(name, data):
    """Of the generator's two heads in two groups: each four times, and not the same."""
    if name.endswith("ssm_in.weight"):
        return np.concatenate([data[:-2]] + [np.roll(data[-2:], i, axis=-1) for i in range(4)])
    if re.search(r"\.ssm_(a|d|dt\.bias)$", name):
        return np.concatenate([data * np.float32(1 + i / 8) for i in range(4)])
    return data


def as_converted(reader, path, unwanted, edit=lambda name, data: data, other_keys={}):
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
    for key, value in ({"block_count": N_LAYERS} | other_keys).items():
        keys[f"{arch}.{key}"] = (value, [GGUFValueType.UINT32])
    kept = [t for t in reader.tensors if not re.search(unwanted, t.name)]
    tensors = [(t.name, edit(t.name, t.data), t.tensor_type) for t in kept]
    for layer in range(n, N_LAYERS):
        prefix = f"blk.{layer % n}."
        for t in kept:
            if t.name.startswith(prefix):
                turned = t.data.ndim >= 2 and "ssm" not in t.name
                data = edit(t.name, t.data)
                data = np.roll(data, layer, axis=-1) if turned else data
                tensors.append((t.name.replace(prefix, f"blk.{layer}."), data, t.tensor_type))
    write(reader, path, keys, tensors)


def random_blocks(kind, scale):
    """Codes of blocks of 256 that begin with an f16 scale."""
    n_bytes = GGML_QUANT_SIZES[kind][1]

    def quantize(name, data, random):
        if not name.startswith("blk.") or data.ndim < 2:
            return data, None
        rows, n = data.shape[0], data.shape[1] // 256
        blocks = random.integers(0, 256, (rows, n, n_bytes), dtype=np.uint8)
        blocks[:, :, :2] = np.array([scale], dtype=np.float16).view(np.uint8)
        return blocks.reshape(rows, n * n_bytes), kind
    return quantize


def ternary_rows(_, data, random):
    """IQ2_BN (ik_llama.cpp, iqk_quantize.cpp `quantize_one_row_2bn`): a row is its f32 scale, then
    blocks of 64 weights in 16 bytes, byte p holds weights p, p + 16, p + 32 and p + 48 from its
    lowest bits up; codes 0, 1, 2 are -1, 0, +1."""
    if data.ndim < 2:
        return data, None
    rows, n = data.shape
    codes = random.integers(0, 3, (rows, n // 64, 4, 16), dtype=np.uint8)
    packed = sum(codes[:, :, j] << (2 * j) for j in range(4)).astype(np.uint8)
    scales = (random.uniform(0.5, 1.5, rows) / np.sqrt(n)).astype(np.float32)
    return np.concatenate([scales.view(np.uint8).reshape(rows, 4), packed.reshape(rows, -1)], 1), IQ2_BN


def llama_512(reader, path, quantize):
    """A llama of two layers, 512 wide as blocks of 256 need it, with the vocabulary of another."""
    random = np.random.default_rng(14)
    wanted = {f"llama.{key}": (value, [GGUFValueType.UINT32]) for key, value in {
        "context_length": 2048, "embedding_length": 512, "feed_forward_length": 512, "block_count": 2,
        "attention.head_count": 8, "attention.head_count_kv": 4, "rope.dimension_count": 64,
        "vocab_size": 128}.items()}
    wanted["llama.attention.layer_norm_rms_epsilon"] = (1e-5, [GGUFValueType.FLOAT32])
    keys = {key: field for key, field in all_keys(reader).items() if key.startswith("tokenizer")}
    shapes = {"token_embd": (128, 512), "output": (128, 512), "output_norm": (512,)}
    for layer in range(2):
        shapes.update({f"blk.{layer}.{name}": shape for name, shape in {
            "attn_norm": (512,), "attn_q": (512, 512), "attn_k": (256, 512), "attn_v": (256, 512),
            "attn_output": (512, 512), "ffn_norm": (512,), "ffn_gate": (512, 512),
            "ffn_up": (512, 512), "ffn_down": (512, 512)}.items()})
    tensors = []
    for name, shape in shapes.items():
        data = random.standard_normal(shape, dtype=np.float32)
        data = 1 + data / 4 if len(shape) == 1 else data / np.float32(np.sqrt(512))
        data, kind = quantize(name, data, random)
        tensors.append((name + ".weight", data, kind or GGMLQuantizationType.F32))
    write(reader, path, wanted | keys, tensors)


def main(archs, out):
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
    for name, quantize in (("iq3_xxs", random_blocks(GGMLQuantizationType.IQ3_XXS, 2**-10)),
                           ("iq4_xs", random_blocks(GGMLQuantizationType.IQ4_XS, 2**-14)),
                           ("iq2_bn", ternary_rows)):
        llama_512(GGUFReader(f"{archs}/llama-dense.gguf"), f"{out}/tiny/{name}.gguf", quantize)
    as_converted(GGUFReader(f"{archs}/mamba2-dense.gguf"), f"{out}/groups/mamba2-dense.gguf", SCALES,
                 with_8_heads, {"ssm.time_step_rank": 8})


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
