"""Attention as a model computes it eagerly, with its parts told: scores, softmax, sums of values.

Registered among transformers' attention functions under a name of its own. It calls the model's own
eager function and looks at the products and the softmax in it, so that no bit changes.
"""
import sys

import torch
from torch.overrides import TorchFunctionMode

from shower import Shown, nothing

NAME = "crossval_eager"


class _Parts(TorchFunctionMode):
    def __init__(self):
        super().__init__()
        self.products, self.softmax = [], []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        name = getattr(function, "__name__", "")
        if name in ("matmul", "__matmul__", "bmm"):
            self.products.append((args[0], args[1], out))
        elif name == "softmax":
            self.softmax.append(out)
        return out


class Attention:
    """While it is installed, every layer's attention goes through `__call__`."""

    def __init__(self, model, watch):
        from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS as masks
        from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS as functions
        self._watch, self._config = watch, model.config.get_text_config()
        functions.register(NAME, self)
        masks.register(NAME, masks["eager"])
        self._configs = {id(module.config): module.config for module in model.modules()
                         if getattr(getattr(module, "config", None),
                                    "_attn_implementation", "") == "eager"}
        self._configs[id(self._config)] = self._config

    def __enter__(self):
        for config in self._configs.values():
            config._attn_implementation = NAME
        return self

    def __exit__(self, *_):
        for config in self._configs.values():
            config._attn_implementation = "eager"

    def __call__(self, module, query, key, value, *args, **kwargs):
        own = getattr(sys.modules[type(module).__module__], "eager_attention_forward")
        self._watch.quiet += 1
        with _Parts() as parts:
            found = own(module, query, key, value, *args, **kwargs)
        if len(parts.products) == 2 and len(parts.softmax) == 1:
            mask = args[0] if args else kwargs.get("attention_mask")
            self._show(module, query, key, value, mask, parts, found[0], kwargs)
        self._watch.quiet -= 1
        return found

    def _show(self, module, query, key, value, mask, parts, merged, kwargs):
        graph = self._watch.graph
        (_, _, scores), (chances, _, sums) = parts.products
        if scores.shape[-2:] != (query.shape[-2], key.shape[-2]) or scores.shape[0] != 1:
            return
        scale = kwargs.get("scaling")
        scale = query.shape[-1] ** -0.5 if scale is None else float(scale)
        graph.show("kq", "MUL_MAT", scores, [graph.source(key, name="cache_k"),
                                             graph.source(query, name="Qcur")])
        scores, scale = self._cap(scores, scale, kwargs.get("softcap"))
        sinks = kwargs.get("s_aux")
        sinks = getattr(module, "sinks", None) if sinks is None else sinks
        graph.show("kq_soft_max", "SOFT_MAX", chances,
                   [graph.source(scores), _mask(mask, scores), self._sinks(sinks)], {0: scale})
        graph.show("kqv", "MUL_MAT", sums, [
            Shown(value.transpose(2, 3), "cache_v"), graph.source(chances)])
        rows = sums.transpose(1, 2)
        graph.show("kqv_out", "CONT", merged, [graph.source(rows)], seen=merged)

    def _cap(self, scores, scale, cap):
        """Scores that are capped are scaled before (llama.cpp llama-graph.cpp `build_attn_mha`)."""
        if not cap:
            return scores, scale
        graph = self._watch.graph
        for name, op, factor in (("kq_before_cap", "SCALE", scale), ("kq_scaled_1", "SCALE", 1 / cap),
                                 ("kq_tanh", "TANH", None), ("kq_scaled_2", "SCALE", float(cap))):
            before = scores
            if name == "kq_scaled_1":
                scores = before / cap
            else:
                scores = before.tanh() if factor is None else before * factor
            graph.show(name, op, scores, [graph.source(before)],
                       {} if factor is None else {0: factor})
        return scores, 1.0

    def _sinks(self, sinks):
        if sinks is None:
            return nothing()
        from shower import weight
        found = self._watch.names.parameter_of(sinks)
        for one in self._watch.names.weights_of(found[0]) if found else ():
            return weight(one.name, (sinks.numel(),))
        return Shown(sinks.reshape(-1), "sinks")


def _mask(mask, scores):
    """Zero, or minus infinity: transformers writes the lowest number for that."""
    if mask is None:
        return nothing()
    mask = mask[..., : scores.shape[-1]].to(torch.float32)
    if mask.shape[1] != 1:
        mask = mask.expand(1, *scores.shape[1:])
    low = mask <= torch.finfo(torch.float32).min / 2
    return Shown(mask.masked_fill(low, -float("inf")), "KQ_mask")
