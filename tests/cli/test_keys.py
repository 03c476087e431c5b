"""`llmstream keys`, in this process."""

from __future__ import annotations

import io
import re
import signal

import pytest

from llmstream.cli import main
from llmstream.web.keys import KeyRing, read_keys


@pytest.fixture(autouse=True)
def _signals():
    """They stay as they were."""
    numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_new_key_is_shown_once_and_its_line_can_be_appended_to_a_file(capsys, tmp_path) -> None:
    path = tmp_path / "keys.txt"
    with path.open("a") as file:
        keys = []
        for name in ("ann", "bob@example.com", "ann"):
            assert main(["keys", "new", name]) == 0
            out, err = capsys.readouterr()
            file.write(out)
            keys.append(re.search(r"shown this once: (\S+)\n", err)[1])
            assert keys[-1] not in out
    ring = read_keys(str(path))
    assert [ring.find(key) for key in keys] == ["ann", "bob@example.com", "ann"]


def test_a_key_of_ones_own_is_hashed(capsys, monkeypatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("a-key-of-my-own!\n"))
    assert main(["keys", "hash", "ann"]) == 0
    out, err = capsys.readouterr()
    assert KeyRing([out.strip()]).find("a-key-of-my-own!") == "ann"
    assert "a-key-of-my-own!" not in out + err


@pytest.mark.parametrize(
    ("words", "stdin", "told"),
    [
        ([], "", "keys new NAME"),
        (["new"], "", "keys new NAME"),
        (["new", "a", "b"], "", "keys new NAME"),
        (["old", "a"], "", "keys new NAME"),
        (["new", "two words"], "", "a name must be"),
        (["new", "-a"], "", ""),
        (["new", "a:b"], "", "a name must be"),
        (["new", "a\nb"], "", "a name must be"),
        (["new", ""], "", "a name must be"),
        (["new", "a" * 65], "", "a name must be"),
        (["new", "zoë"], "", "a name must be"),
        (["hash", "ann"], "", "one word of ASCII"),
        (["hash", "ann"], "fifteen-letters\n", "too short"),
        (["hash", "ann"], "two words in a key\n", "one word of ASCII"),
    ],
)
def test_what_can_t_be_a_key_or_a_name_is_told(words, stdin, told, capsys, monkeypatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
    try:
        code = main(["keys", *words])
    except SystemExit as ended:  # argparse's own
        code = ended.code
    out, err = capsys.readouterr()
    assert (code, out, told in err) == (2, "", True), err
    assert not stdin.strip() or stdin.strip() not in err
