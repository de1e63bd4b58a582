"""Norms: modules that are one operation, x / rms(x) * weight or (x - mean) / deviation * weight."""
import torch

from shower import Shown, weight

_EPS = ("variance_epsilon", "eps", "epsilon", "norm_eps")


class Norm:
    """A module that was tried and does what a norm does."""

    def __init__(self, module, name, names):
        self.by_mean, self.eps, self._told = _tried(module)
        self._bias = getattr(module, "bias", None)
        found = names.weights_of(name + ".weight")
        self.weight = found[0] if found else None
        self.order = None
        if self.weight is not None:
            order = names.order(self.weight, name + ".weight", module.weight)
            if module.weight.dim() == 1 and order is not None and order != list(range(len(order))):
                self.order = order
            self._ne = tuple(module.weight.shape)[::-1]
        self._has_bias = self._bias is not None

    @property
    def is_known(self):
        return self.by_mean is not None and (self.weight is not None or not self._told)

    def show(self, graph, x, out):
        if x.dim() == 4 and x.shape[1] != out.shape[1]:
            return
        tap = self.weight.tap if self.weight else ""
        layer = self.weight.layer if self.weight else None
        sources = [graph.source(x, self.order)]
        if self.weight is not None:
            sources.append(weight(self.weight.name, self._ne))
        if self._has_bias:
            sources.append(weight(self.weight.name.removesuffix(".weight") + ".bias",
                                  (x.shape[-1],)))
        kind = "FUSED_NORM" if self.by_mean else "FUSED_RMS_NORM" if self.weight else "RMS_NORM"
        graph.show(tap, kind, out, sources, {0: self.eps},
                   order=self.order, layer=layer)


def _tried(module):
    """(whether the mean is taken away, eps, whether there is a weight); None: it is no norm."""
    eps = next((float(getattr(module, name)) for name in _EPS
                if isinstance(getattr(module, name, None), (int, float))), None)
    own = getattr(module, "weight", None)
    shape = getattr(module, "normalized_shape", None)
    width = own.shape[-1] if own is not None else shape[-1] if shape else None
    if eps is None or width is None or (own is not None and own.dim() > 2):
        return None, None, None
    x = torch.linspace(-1, 2, width, dtype=torch.float32, device=own.device if own is not None
                       else "cpu")[None, None]
    if own is not None and own.dim() == 2:  # a row for each head
        x = x[:, :, None].expand(1, 1, *own.shape)
    try:
        found = module(x.to(own.dtype if own is not None else x.dtype)).to(torch.float32)
    except Exception:
        return None, None, None
    bias = getattr(module, "bias", None)
    by_rms = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)
    by_mean = (x - x.mean(-1, keepdim=True)) * torch.rsqrt(
        x.var(-1, unbiased=False, keepdim=True) + eps)
    for is_mean, plain in ((False, by_rms), (True, by_mean)):
        for factor in (1, own, None if own is None else 1 + own):
            if factor is None:
                continue
            wanted = plain * factor + (0 if bias is None else bias)
            if torch.allclose(found, wanted, rtol=1e-3, atol=1e-3 * float(wanted.abs().max())):
                return is_mean, eps, own is not None
    return None, None, None
