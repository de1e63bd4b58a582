"""Rotary positions: the function of a model's module that turns queries and keys, told as ROPE.

How it turns (which halves, how many dimensions, in which order they come out) is tried on unit
vectors, by how much the configuration says: nothing is known here about architectures.
"""
import inspect
import sys

import torch

from shower import Shown, weight

# Parameters of ggml's ROPE (ggml.c `ggml_rope_impl`).
_N_DIMS, _MODE, _ORIGINAL, _BASE, _SCALE, _EXT, _ATTN, _FAST, _SLOW = 1, 2, 4, 5, 6, 7, 8, 9, 10
_ADJACENT, _HALVES = 0, 2


class Rotation:
    """While it is installed, the functions named apply_rotary... of the model's module show."""

    def __init__(self, model, watch, n_past):
        self._watch, self._n_past = watch, n_past
        self._config = model.config.get_text_config()
        modules = {sys.modules[type(one).__module__] for one in model.modules()}
        self._own = [(module, name, function) for module in modules
                     for name, function in vars(module).items()
                     if name.startswith("apply_rotary") and "vision" not in name
                     and inspect.isfunction(function)]
        self._ways = {}

    def __enter__(self):
        for module, name, function in self._own:
            setattr(module, name, self._wrapped(function))
        return self

    def __exit__(self, *_):
        for module, name, function in self._own:
            setattr(module, name, function)

    def _wrapped(self, function):
        names = list(inspect.signature(function).parameters)

        def turned(*args, **kwargs):
            self._watch.quiet += 1
            found = function(*args, **kwargs)
            given = {**dict(zip(names, args)), **kwargs}
            outs = found if isinstance(found, tuple) else (found,)
            ins = [value for value in given.values()
                   if isinstance(value, torch.Tensor) and value.dim() == 4
                   and not value.is_complex()][:len(outs)]
            way = self._way(function, given, ins[0]) if len(ins) == len(outs) else None
            if way is not None:
                for name, before, after in zip(("Qcur", "Kcur"), ins, outs):
                    self._show(name, before, after, way)
            self._watch.quiet -= 1
            return found
        return turned

    def _way(self, function, given, x):
        """(positions' dimension, dimensions turned, whether halves, order of what comes out)."""
        heads = 1 if given.get("unsqueeze_dim", 1) == 1 else 2
        by_angle = next((value for value in given.values()
                         if isinstance(value, torch.Tensor) and value.is_complex()), None)
        if by_angle is not None:  # [1, positions, pairs]: which dimension of x those are
            fits = [at for at in (1, 2) if x.shape[3 - at] == by_angle.shape[1]]
            if len(fits) != 1:
                return None
            heads = fits[0]
        key = (function, x.shape[-1], heads)
        if key not in self._ways:
            self._ways[key] = _tried(function, given, x, heads)
        return self._ways[key]

    def _show(self, name, before, after, way):
        graph, (heads, n_dims, halves, landed) = self._watch.graph, way
        if heads == 1:  # [1, heads, positions, dimensions]
            before, after = before.transpose(1, 2), after.transpose(1, 2)
        told = _parameters(self._config, graph.layer, n_dims)
        if told is None:
            return
        params, factors = told
        width = before.shape[-1]
        order = self._order_of(before, n_dims)
        # What comes out elsewhere is told where it came from.
        back = None if landed == list(range(width)) else landed
        if order is not None and (back is not None or not halves):
            return
        params[_MODE] = _ADJACENT if order is not None or not halves else _HALVES
        n = before.shape[1]
        positions = torch.arange(self._n_past, self._n_past + n, dtype=torch.int32)
        sources = [graph.source(before, order), Shown(positions, "inp_pos")]
        if factors is not None:
            sources.append(weight(factors, (n_dims // 2,)))
        seen = after if back is None else after[..., back]
        graph.show(name, "ROPE", after, sources, params, order=order, seen=seen)

    def _order_of(self, values, n_dims):
        """Of each head: where the file has the halves take turns, that order."""
        result, _ = self._watch.graph.find(values)
        order = result.order if result is not None else None
        half = n_dims // 2
        if not isinstance(order, list) or len(order) < 2 or order[1] - order[0] != half or half == 1:
            return None
        turned = [i // 2 + i % 2 * half for i in range(n_dims)]
        return turned + list(range(n_dims, values.shape[-1]))


def _tried(function, given, x, heads):
    """What it makes of unit vectors, unturned and turned by 90 degrees."""
    width = x.shape[-1]
    units = torch.eye(width, dtype=x.dtype, device=x.device)
    units = units[None, :, None] if heads == 1 else units[None, None]

    def call(cos, sin):
        changed = dict(given)
        for name, value in given.items():
            if not isinstance(value, torch.Tensor):
                continue
            if value.is_complex():
                changed[name] = torch.full_like(value[:, :1], complex(cos, sin))
            elif name in ("cos", "sin"):
                changed[name] = torch.full_like(value[:, :1], cos if name == "cos" else sin)
            elif value.dim() == 4:
                changed[name] = units
            elif name == "position_ids":
                changed[name] = value[:, :1]
        found = function(**changed)
        return (found[0] if isinstance(found, tuple) else found).reshape(width, width)

    try:
        still, gone, turned = call(1.0, 0.0), call(0.0, 0.0), call(0.0, 1.0)
    except Exception as error:  # of a kind that is not known here
        print(f"rotation is not shown: {type(error).__name__}: {error}", flush=True)
        return None
    if not (still.sum(1) == 1).all() or not (still.max(1).values == 1).all():
        return None
    landed = still.argmax(1).tolist()
    n_dims = int((gone.abs().sum(1) == 0).sum())
    if n_dims < 2 or (gone.abs().sum(1)[:n_dims] != 0).any():
        return None
    partner = landed.index(int(turned[0].abs().argmax()))
    if partner not in (1, n_dims // 2) or turned[0].sum() <= 0:
        return None
    return heads, n_dims, partner == n_dims // 2 and partner != 1, landed


def _parameters(config, layer, n_dims):
    """(parameters of ggml's ROPE, name of the factors that divide angles or None); None: not of a
    kind that ggml has."""
    rope = getattr(config, "rope_parameters", None) or {}
    kinds = getattr(config, "layer_types", None)
    if kinds and 0 <= layer < len(kinds) and isinstance(rope.get(kinds[layer]), dict):
        rope = rope[kinds[layer]]
    base = rope.get("rope_theta", getattr(config, "rope_theta", None))
    kind, factor = rope.get("rope_type", "default"), float(rope.get("factor") or 1)
    if base is None:
        return None
    params = {_N_DIMS: n_dims, _BASE: float(base), _SCALE: 1.0, _EXT: 0.0, _ATTN: 1.0,
              _FAST: 32.0, _SLOW: 1.0,
              _ORIGINAL: int(rope.get("original_max_position_embeddings")
                             or config.max_position_embeddings)}
    if kind == "default":
        return params, None
    if kind == "linear":
        params[_SCALE] = 1 / factor
        return params, None
    if kind == "llama3":
        return params, "rope_freqs.weight"
    return None


