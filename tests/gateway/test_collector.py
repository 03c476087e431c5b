"""What the garbage collector of a server process looks at."""

import subprocess
import sys

PROGRAM = """
import gc
from llmstream.gateway.process import relieve_collector

kept = [[] for _ in range(1000)]
relieve_collector()
looked_at = set(map(id, gc.get_objects()))
assert not looked_at & set(map(id, kept)), "what the start made"
class Circle: pass
one = Circle()
one.self = one
del one
assert gc.collect() >= 1, "what requests make"
assert gc.get_threshold()[0] > 700
"""


def test_it_looks_at_what_requests_make_and_not_at_what_was_there_before():
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, timeout=60)
