"""Parts of workers/hf that need no torch: frames, settings, and where rows of weights lie."""
import json
import os
import pathlib
import struct
import subprocess
import sys
import unittest

WORKER = pathlib.Path(__file__).resolve().parents[2] / "workers" / "hf"
sys.path.insert(0, str(WORKER))
sys.dont_write_bytecode = True

import names
import settings
from wire import Refusal


def weight(parts, **more):
    return names.Weight({"name": "blk.0.attn_q.weight", "parts": parts, **more})


def part(of, offset, rows, cols, col_stride=1, factor=1):
    return {"of": of, "offset": offset, "rows": rows, "cols": cols, "col_stride": col_stride,
            "factor": factor}


class Rows(unittest.TestCase):
    def test_halves_of_a_head_take_turns(self):
        # Two heads of four rows, three columns: pairs are (0, 2), (1, 3).
        turned = weight([part("q", 0, [[2, 12], [2, 3], [2, 6]], 3)])
        self.assertEqual(turned.rows_in("q", (8, 3), False), [0, 2, 1, 3, 4, 6, 5, 7])

    def test_a_slice_of_a_fused_matrix(self):
        self.assertEqual(weight([part("qkv", 12, [[2, 3]], 3)]).rows_in("qkv", (6, 3), False),
                         [4, 5])

    def test_columns_are_outputs(self):
        by_columns = weight([part("c", 0, [[4, 1]], 3, 4)])
        self.assertEqual(by_columns.rows_in("c", (3, 4), True), [0, 1, 2, 3])
        self.assertIsNone(by_columns.rows_in("c", (3, 4), False))

    def test_experts_are_blocks(self):
        up = weight([part("experts", 6, [[2, 12], [2, 3]], 3)], experts=2)
        self.assertEqual(up.rows_in("experts", (2, 4, 3), False), [2, 3, 6, 7])

    def test_what_is_no_order_of_rows_is_not_shown(self):
        self.assertIsNone(weight([part("q", 1, [[2, 3]], 3)]).rows_in("q", (4, 3), False))
        self.assertIsNone(weight([part("q", 0, [[2, 3]], 3, factor=2)]).rows_in("q", (2, 3), False))
        self.assertIsNone(weight([part("q", 0, [[2, 3]], 3), part("k", 0, [[2, 3]], 3)])
                          .rows_in("q", (2, 3), False))

    def test_a_table_that_makes_no_sense_is_refused(self):
        for told in (None, [1], [{"name": "x"}], [{"name": 1, "parts": []}]):
            with self.assertRaises(Refusal):
                names.check(told)


class Settings(unittest.TestCase):
    def test_what_is_unknown_is_refused_with_what_is_known(self):
        self.assertEqual(settings.parse({})["dtype"], "f32")
        with self.assertRaises(Refusal) as refused:
            settings.parse({"dtyp": "f32"})
        self.assertIn("dtype", refused.exception.fields["fix"])


class Process(unittest.TestCase):
    """The program itself, through its descriptors."""

    def test_messages_before_load_and_none_there_are(self):
        to_worker, from_program = os.pipe()
        to_program, from_worker = os.pipe()

        def place():
            os.dup2(to_worker, 3)
            os.dup2(from_worker, 4)

        with subprocess.Popen([sys.executable, "-B", str(WORKER)], preexec_fn=place, pass_fds=(3, 4),
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as worker:
            for op in ("nothing", "names", "parameters", "eval", "quit"):
                text = json.dumps({"op": op}).encode()
                os.write(from_program, b"XVW\x01" + struct.pack("<IQ", len(text), 0) + text)
                if op == "quit":
                    break
                n_json, n_payload = struct.unpack("<4xIQ", os.read(to_program, 16))
                reply = json.loads(os.read(to_program, n_json))
                self.assertFalse(reply["ok"], reply)
                self.assertEqual(n_payload, 0)
                self.assertEqual(reply["error"]["code"], "worker_protocol")
            self.assertEqual(worker.wait(20), 0)


if __name__ == "__main__":
    unittest.main()
