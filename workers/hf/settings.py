"""What `--backend-opt` may say to this engine, with the defaults that make runs repeatable."""
from wire import Refusal

# name: the values it may have, the default first. None: any text.
CHOICES = {
    "dtype": ("f32", "bf16", "f16", "f64"),
    "attn": ("eager", "sdpa"),
    "device": ("cpu", "cuda"),
    "trust_remote_code": ("off", "on"),
    "modules_dir": None,
}


def parse(given):
    """All settings as they are in force. Refuses what is unknown, with what is known."""
    settings = {name: values[0] if values else "" for name, values in CHOICES.items()}
    for name, value in given.items():
        if name not in CHOICES:
            raise Refusal("unknown_setting", f"there is no setting '{name}'",
                          f"--backend-opt {name}={value}", "one of: " + ", ".join(CHOICES),
                          "bad_input")
        values = CHOICES[name]
        if values and value not in values:
            raise Refusal("bad_setting", f"'{value}' is no value of {name}",
                          f"--backend-opt {name}={value}", "one of: " + ", ".join(values),
                          "bad_input")
        settings[name] = value
    return settings
