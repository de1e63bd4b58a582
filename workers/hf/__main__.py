"""Hugging Face transformers behind docs/protocol.md: `python workers/hf`, started by crossval.

Rules: no network, no remote code unless it is allowed, one copy of the model, and one error for
whatever goes wrong. torch is imported at `load`, so that `hello` is quick.
"""
import array
import importlib.metadata
import importlib.util
import math
import os
import platform
import sys
import traceback

import names as known_names
import offline  # noqa: F401  (before transformers)
import settings as known_settings
import wire
from checkpoint import Checkpoint
from wire import Refusal


class Worker:
    def __init__(self):
        self.model = self.tokens = None
        self.settings = {}

    def hello(self, request, payload):
        def version(package):
            try:
                return importlib.metadata.version(package)
            except importlib.metadata.PackageNotFoundError:
                raise Refusal("backend_not_set_up", f"the Python package {package} is not there",
                              sys.executable, "run: crossval setup hf") from None

        found = importlib.util.find_spec("transformers")
        return {"protocol": wire.VERSION, "engine": "transformers",
                "version": f"{version('transformers')}, torch {version('torch')}",
                "library": os.path.dirname(found.origin) if found and found.origin else "",
                "renders": True, "taps": "partial", "names": True,
                "system_info": f"Python {platform.python_version()}"}, b""

    def load(self, request, payload):
        self.model = self.tokens = None
        self.settings = known_settings.parse(request.get("settings", {}))
        allowed = self.settings["trust_remote_code"] == "on"
        if allowed and self.settings["modules_dir"]:
            os.environ["HF_MODULES_CACHE"] = self.settings["modules_dir"]
        checkpoint = Checkpoint(request["model"])
        import transformers
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        from model import Model
        from tokens import Tokens
        self.tokens = Tokens(checkpoint, allowed)
        self.model = Model(checkpoint, self.settings, int(request["n_threads"]))
        return self.info(request, payload)

    def info(self, request, payload):
        self._loaded()
        in_force = {name: value for name, value in self.settings.items() if value}
        if self.model.attn:
            in_force["attn"] = self.model.attn
        return {"n_vocab": self.model.n_vocab, "n_ctx_train": self.model.n_ctx_train,
                "device": self.model.device, "settings": in_force}, b""

    def parameters(self, request, payload):
        shapes, config = self._loaded().parameters()
        return {"parameters": shapes, "config": _plain(config)}, b""

    def names(self, request, payload):
        told = request.get("weights")
        known_names.check(told)
        self._loaded().name_weights(told)
        return {}, b""

    def tokenize(self, request, payload):
        self._loaded()
        ids = self.tokens.encode(payload, request.get("bos", "auto"),
                                 request.get("parse_special", True))
        return {"n_ids": len(ids)}, array.array("i", ids).tobytes()

    def render(self, request, payload):
        self._loaded()
        text = self.tokens.render(request["messages"])
        return {"template": text is not None}, (text or "").encode()

    def pieces(self, request, payload):
        self._loaded()
        pieces = self.tokens.pieces(list(array.array("i", payload)))
        return {"sizes": [len(piece) for piece in pieces]}, b"".join(pieces)

    def reset(self, request, payload):
        self._loaded().reset()
        reply, payload = self.info(request, payload)
        if 0 < self.model.n_ctx_train < request["n_ctx"]:
            reply["warning"] = (f"{request['n_ctx']} positions are beyond the "
                                f"{self.model.n_ctx_train} that the model was made for")
        return reply, payload

    def eval(self, request, payload):
        ids = list(array.array("i", payload))
        if request.get("capture"):
            from capture import refuse_unless_shown
            refuse_unless_shown(self.settings)
            self._loaded().evaluate_shown(ids)
        else:
            self._loaded().evaluate(ids)
        return {"n_rows": len(ids), "n_past": self.model.n_past}, b""

    def logits(self, request, payload):
        rows = self._loaded().logits
        first, n = request["first_row"], request["n_rows"]
        if rows is None or first < 0 or n < 0 or first + n > len(rows):
            raise Refusal("worker_protocol", "logits of rows that were not evaluated", "logits",
                          "ask for rows of the latest eval")
        wanted = rows[first:first + n]
        if request.get("memory"):
            return {"memory": [[wanted.data_ptr(), wanted.numel() * wanted.element_size()]]}, b""
        return {}, wanted.numpy().data

    def _loaded(self):
        if self.model is None:
            raise Refusal("worker_protocol", "no model is loaded", "worker", "send load first")
        return self.model


def _plain(value):
    """As JSON can say it: no infinities, nothing but texts, numbers, lists and objects."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return value if isinstance(value, float) and math.isfinite(value) else str(value)


OPS = ("hello", "load", "info", "parameters", "names", "tokenize", "render", "pieces", "reset",
       "eval", "logits")


def answer(worker, request, payload):
    op = request.get("op")
    try:
        if op not in OPS:
            raise Refusal("worker_protocol", f"there is no message '{op}'", "worker",
                          "see docs/protocol.md")
        reply, data = getattr(worker, op)(request, payload)
        return {"ok": True, **reply}, data
    except Refusal as refusal:
        return {"ok": False, "error": refusal.fields}, b""
    except Exception as error:
        traceback.print_exc()
        return {"ok": False, "error": _explain(error, op, request)}, b""


def _explain(error, op, request):
    """What another's exception comes to."""
    what = " ".join(f"{type(error).__name__}: {error}".split())[:600]
    fix = "the worker's log (--verbose) has the whole traceback"
    code = "transformers_failed"
    if isinstance(error, ImportError):
        code, fix = "package_missing", "run: crossval setup hf --force   (" + fix + ")"
    elif isinstance(error, MemoryError) or "OutOfMemory" in what or "allocate memory" in what:
        code, fix = "out_of_memory", "use a smaller prompt, or --backend-opt dtype=bf16"
    elif "GGUF model with architecture" in what:
        fix = "name the checkpoint's folder instead: --backend-model DIR"
    elif "trust_remote_code" in what:
        fix = ("its code is not part of transformers; if you trust it: --backend-opt "
               "trust_remote_code=on --backend-opt modules_dir=DIR --sandbox-write DIR")
    return {"status": "backend_failed", "code": code, "what": what,
            "where": str(request.get("model", op)), "fix": fix}


def main():
    worker = Worker()
    while True:
        request, payload = wire.read_request()
        if request.get("op") == "quit":
            return
        wire.write_reply(*answer(worker, request, payload))


if __name__ == "__main__":
    main()
