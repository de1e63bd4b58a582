"""What this Python has of requirements.txt, for `crossval setup`: one line of JSON.

Imports nothing of what it looks for, so it answers at once whatever is broken there.
"""
import importlib.metadata
import json
import os
import sys

OLDEST_PYTHON = (3, 10)
OLDEST = {"transformers": (5, 0), "torch": (2, 4)}


def pins():
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "requirements.txt"), encoding="utf-8") as file:
        lines = [line.strip() for line in file if line.strip() and not line.startswith("#")]
    return dict(line.split("==") for line in lines)


def installed(name):
    try:
        return importlib.metadata.version(name).split("+")[0]
    except importlib.metadata.PackageNotFoundError:
        return None


def too_old(name, version):
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    return name in OLDEST and numbers < OLDEST[name]


def folders():
    """Where Python lies, and every folder that it looks for packages in."""
    prefixes = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}
    found = prefixes | {os.path.realpath(folder) for folder in prefixes} | set(sys.path[1:])
    return sorted(folder for folder in found if os.path.isdir(folder))


def main():
    wanted = pins()
    here = {name: installed(name) for name in wanted}
    version = sys.version_info[:3]
    print(json.dumps({
        "dir": sys.prefix,
        "python": sys.executable,
        "folders": folders(),
        "missing": [name for name in wanted if here[name] is None],
        "other": [f"{name} {here[name]}" for name in wanted
                  if here[name] not in (None, wanted[name])],
        "too_old": (["Python " + ".".join(map(str, version))] if version < OLDEST_PYTHON else [])
        + [f"{name} {here[name]}" for name in wanted if here[name] and too_old(name, here[name])],
    }))


if __name__ == "__main__":
    main()
