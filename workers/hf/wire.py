"""Frames of docs/protocol.md on descriptors 3 (requests) and 4 (replies)."""
import json
import os
import struct
import sys

VERSION = 1
_HEADER = struct.Struct("<3sBIQ")
_REQUESTS, _REPLIES = 3, 4


class Refusal(Exception):
    """What a request is answered with instead: an error of the protocol."""

    def __init__(self, code, what, where, fix, status="backend_failed"):
        super().__init__(what)
        self.fields = {"status": status, "code": code, "what": what, "where": where, "fix": fix}


def _read_exactly(n):
    data = bytearray(n)
    view = memoryview(data)
    while view:
        got = os.readv(_REQUESTS, [view])
        if got == 0:
            sys.exit(0)  # nobody asks any more
        view = view[got:]
    return bytes(data)


def read_request():
    """The next request: its JSON and its payload."""
    magic, version, n_json, n_payload = _HEADER.unpack(_read_exactly(_HEADER.size))
    if magic != b"XVW" or version != VERSION:
        sys.exit("error: a request that is none of this protocol")
    request = json.loads(_read_exactly(n_json))
    return request, _read_exactly(n_payload)


def write_reply(reply, payload=b""):
    text = json.dumps(reply).encode()
    header = _HEADER.pack(b"XVW", VERSION, len(text), len(payload))
    for part in (header + text, payload):
        view = memoryview(part).cast("B")
        while view:
            view = view[os.write(_REPLIES, view):]
