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
young, middle, old = gc.get_threshold()
assert young > 700, "a request's own objects make no collection"
assert young * (middle + 1) < 50_000, "no run looks at so many that streams wait for it"
assert young * (middle + 1) * (old + 1) > 500_000, "all there is is rarely looked at"
"""


def test_it_looks_at_what_requests_make_and_not_at_what_was_there_before():
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, timeout=60)
