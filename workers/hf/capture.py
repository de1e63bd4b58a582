"""One eval whose operations are shown: hooks on modules, a mode over torch's functions, and
functions of rotation and attention that tell their parts. All of it is gone afterwards."""
import contextlib

import torch

from attention import Attention
from graph import Graph
from norms import Norm
from operations import Watch
from rotation import Rotation
from shower import Shower
from wire import Refusal


def refuse_unless_shown(settings):
    """Rounded arithmetic and fused attention compute what no replay of single operations knows."""
    for name, value in (("dtype", "f32"), ("attn", "eager")):
        if settings[name] != value:
            raise Refusal("no_taps", f"with {name}={settings[name]} it shows no tensors",
                          f"--backend-opt {name}={settings[name]}",
                          f"trace with {name}={value}, or compare logits alone: per-token",
                          "bad_input")


class Capture:
    def __init__(self, model, names):
        self._model, self._names = model, names
        self._norms = {module: norm for name, module in model.named_modules()
                       if "norm" in type(module).__name__.lower()
                       and (norm := Norm(module, name, names)).is_known}

    @contextlib.contextmanager
    def running(self, n_past):
        graph = Graph(Shower())
        watch = Watch(graph, self._names)
        hooks = list(self._hooks(graph, watch))
        try:
            with Rotation(self._model, watch, n_past), Attention(self._model, watch), watch:
                yield graph
        finally:
            for hook in hooks:
                hook.remove()

    def _hooks(self, graph, watch):
        n_layers = self._model.config.get_text_config().num_hidden_layers
        layers = next((module for module in self._model.modules()
                       if isinstance(module, torch.nn.ModuleList) and len(module) == n_layers), [])
        for number, module in enumerate(layers):
            yield from _layer_hooks(module, number, graph)
        for module in self._model.modules():
            if module in self._norms:
                yield from _norm_hooks(module, self._norms[module], graph, watch)
            elif "rotary" in type(module).__name__.lower():
                yield from _silent_hooks(module, watch)


def _layer_hooks(module, number, graph):
    def enter(*_):
        graph.layer = number
        graph.forget_before(number - 1)

    def leave(*_):
        graph.layer = -1
    yield module.register_forward_pre_hook(enter)
    yield module.register_forward_hook(leave)


def _silent_hooks(module, watch):
    def enter(*_):
        watch.quiet += 1

    def leave(*_):
        watch.quiet -= 1
    yield module.register_forward_pre_hook(enter)
    yield module.register_forward_hook(leave)


def _norm_hooks(module, norm, graph, watch):
    def enter(*_):
        watch.quiet += 1

    def leave(_, given, out):
        if watch.quiet == 1 and len(given) == 1:
            norm.show(graph, given[0], out)
        watch.quiet -= 1
    yield module.register_forward_pre_hook(enter)
    yield module.register_forward_hook(leave)
