"""Keys of clients: named, hashed, changed while a server runs; and what becomes of strangers who try many."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
import timeit
import traceback

import pytest
import websockets
from hypothesis import given
from hypothesis import strategies as st

from llmstream.errors import ConfigurationError
from llmstream.web import Access, keys, wrong_keys
from llmstream.web.keys import KeyFile, KeyRing, hash_line, new_key
from llmstream.web.wrong_keys import WrongKeys
from tests.patience import PATIENCE
from tests.web.serving import fetch, serving
from tests.web.test_app import app_with, post

KEY, OTHER = "llmstream-canary-keys-1", "llmstream-canary-keys-2"


def test_a_key_is_found_by_its_hash_and_known_by_its_name() -> None:
    ring = KeyRing([hash_line("ann", KEY), OTHER])
    assert ring.find(KEY) == "ann"
    assert ring.find(OTHER).startswith("key-")
    for wrong in ("", KEY[:-1], KEY + " ", KEY.upper(), hash_line("ann", KEY), "\udcff", "\x00"):
        assert ring.find(wrong) is None
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    assert hash_line("ann", KEY) == f"ann:{digest}"
    # Whoever reads the file hasn't got a key: its line is none.
    assert KeyRing([f"ann:{digest}"]).find(digest) is None


def test_two_keys_may_have_one_name_while_clients_change_over() -> None:
    ring = KeyRing([hash_line("ann", KEY), hash_line("ann", OTHER)])
    assert (ring.find(KEY), ring.find(OTHER)) == ("ann", "ann")


def test_a_name_that_is_made_of_a_key_shows_nothing_of_it() -> None:
    name = KeyRing([KEY]).find(KEY)
    assert KEY not in name
    assert hashlib.sha256(KEY.encode()).hexdigest()[:8] not in name
    assert KEY not in repr(KeyRing([KEY])) + repr(Access(keys=[KEY])) + str(vars(keys))


BOTH = KeyRing([KEY, hash_line("ann", OTHER)])


@given(st.text(max_size=50))
def test_no_text_that_isnt_a_key_is_one(text) -> None:
    assert (BOTH.find(text) is None) == (text not in (KEY, OTHER))


@given(st.text(max_size=80))
def test_a_name_that_forges_a_line_is_refused(name) -> None:
    try:
        line = hash_line(name, KEY)
    except ConfigurationError:
        return
    assert KeyRing([line]).find(KEY) == name
    assert name.isascii()
    assert not set(name) & set(" :\n#,")


def test_new_keys_are_long_and_differ() -> None:
    made = {new_key() for _ in range(100)}
    assert len(made) == 100
    assert all(len(key) >= 43 for key in made)
    assert all(KeyRing([hash_line("a", key)]).find(key) == "a" for key in made)


def seconds(ring: KeyRing, key: str) -> float:
    """The least time that a look-up took, of many: so a busy machine doesn't count."""
    return min(timeit.repeat(lambda: ring.find(key), number=20, repeat=50))


@pytest.mark.parametrize("key", [KEY, OTHER])
def test_a_look_up_takes_as_long_with_ten_thousand_keys_as_with_one(key) -> None:
    many = KeyRing([*(f"{number:064x}" for number in range(9_999)), KEY])
    assert len(many) == 10_000
    # To compare with each of them would take a thousand times as long.
    assert seconds(many, key) < 5 * seconds(KeyRing([KEY]), key)


# --- a file -------------------------------------------------------------------------------------------------------


def write(path, *lines: str) -> None:
    """Put another file in its place, as an operator should."""
    new = path.with_suffix(".new")
    new.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    new.replace(path)


@pytest.fixture
def key_file(tmp_path, monkeypatch):
    """A file with ann's key, and servers that look at each request whether it has changed."""
    monkeypatch.setattr(keys, "LOOK", 0.0)
    path = tmp_path / "keys.txt"
    write(path, "# who", "", hash_line("ann", KEY))
    return path


async def statuses(port: int) -> list[int]:
    """What the holders of both keys hear."""
    return [(await post(port, "/chat", {"prompt": "hi"}, x_api_key=key))[0] for key in (KEY, OTHER)]


async def test_a_file_that_changes_is_in_force_without_a_restart(key_file, caplog) -> None:
    app, _ = app_with(*[["ok"]] * 9, access=Access(keys=KeyFile(key_file)))
    async with serving(app) as port:
        assert await statuses(port) == [200, 401]
        write(key_file, hash_line("ann", KEY), hash_line("ann", OTHER))
        assert await statuses(port) == [200, 200]
        write(key_file, hash_line("ann", OTHER))
        assert await statuses(port) == [401, 200]
        key_file.write_text("", "utf-8")  # nobody is let in any more
        assert await statuses(port) == [401, 401]
        write(key_file, hash_line("bob", KEY))
        assert await statuses(port) == [200, 401]
    assert not {KEY, OTHER} & {*caplog.text.split()}


async def test_a_websocket_does_not_outlive_its_key(key_file) -> None:
    app, _ = app_with(*[["ok"]] * 3, access=Access(keys=KeyFile(key_file)))
    asked = {"type": "response.create", "model": "scripted:script", "input": "hi"}
    async with serving(app) as port:
        url, head = f"ws://127.0.0.1:{port}/v1/responses", {"x-api-key": KEY}
        async with websockets.connect(url, additional_headers=head) as socket:

            async def ask() -> int:
                await socket.send(json.dumps(asked))
                while True:
                    event = json.loads(await socket.recv())
                    if event["type"] in ("response.completed", "error"):
                        return event.get("status", 200)

            assert await ask() == 200
            write(key_file, hash_line("bob", KEY))  # somebody else's by now
            assert await ask() == 401
            write(key_file, hash_line("ann", OTHER))
            assert await ask() == 401
            write(key_file, hash_line("ann", OTHER), hash_line("ann", KEY))
            assert await ask() == 200


@pytest.mark.parametrize(
    "wrong",
    [
        KEY,
        "ann",
        "ann:",
        "ann:123",
        f":{'0' * 64}",
        f"a b:{'0' * 64}",
        f"ann:{'0' * 65}",
        f"ann:{'g' * 64}",
        f"ann:{'0' * 64}:x",
        "\x1b]0;title\x07",
    ],
)
async def test_a_line_that_is_wrong_changes_nothing_and_is_shown_nowhere(
    key_file, wrong, caplog
) -> None:
    access = Access(keys=KeyFile(key_file))
    app, _ = app_with(*[["ok"]] * 4, access=access)
    write(key_file, hash_line("ann", OTHER), wrong)
    with pytest.raises(ConfigurationError, match=r"keys\.txt, line 2: a line must be"):
        KeyFile(key_file)
    async with serving(app) as port:
        for _ in range(2):
            assert await statuses(port) == [200, 401]
    (told,) = [line for line in caplog.messages if "keys.txt" in line]
    assert "line 2" in told
    assert told.endswith("the keys of before stay")
    assert wrong == "ann" or wrong not in told


async def test_a_file_that_is_gone_or_not_text_changes_nothing(key_file, caplog) -> None:
    app, _ = app_with(*[["ok"]] * 6, access=Access(keys=KeyFile(key_file)))
    async with serving(app) as port:
        key_file.unlink()
        assert await statuses(port) == [200, 401]
        key_file.write_bytes(b"\xff\xfe")
        assert await statuses(port) == [200, 401]
        write(key_file, hash_line("ann", OTHER))
        assert await statuses(port) == [401, 200]
    assert [line.partition("keys.txt ")[2] for line in caplog.messages if "stay" in line] == [
        "can't be read: No such file or directory; the keys of before stay",
        "isn't UTF-8: save the file as it; the keys of before stay",
    ]


@pytest.mark.parametrize("content", [b"", b"# nobody\n", b"\xff", None])
def test_a_server_doesnt_begin_with_a_file_that_lets_in_nobody(tmp_path, content) -> None:
    path = tmp_path / "keys.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"keys\.txt"):
        KeyFile(path)


def test_a_key_has_one_name(tmp_path) -> None:
    """It would have the limits of either."""
    lines = [hash_line("ann", KEY), hash_line("bob", KEY)]
    with pytest.raises(ConfigurationError, match="ann and bob have the same key"):
        KeyRing(lines)
    (tmp_path / "keys.txt").write_text("\n".join(lines))
    with pytest.raises(ConfigurationError, match=r"keys\.txt: ann and bob"):
        KeyFile(tmp_path / "keys.txt")


@pytest.mark.parametrize("path", ["", "/", "a\x00b", "/nowhere/keys.txt"])
def test_a_path_that_is_no_file_is_told(path) -> None:
    with pytest.raises(ConfigurationError, match="can't be read"):
        KeyFile(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes with a name")
async def test_a_file_that_hangs_holds_up_one_request_and_not_the_others(key_file) -> None:
    """As a file of a network that has gone: here a pipe that nobody writes to."""
    app, _ = app_with(*[["ok"]] * 4, access=Access(keys=KeyFile(key_file)))
    async with serving(app) as port:
        key_file.unlink()
        os.mkfifo(key_file)
        keys.LOOK = 1_000.0
        held = asyncio.create_task(statuses(port))
        async with asyncio.timeout(PATIENCE):
            while not any("read_keys" in str(each) for each in stacks()):
                await asyncio.sleep(0.005)
        assert await statuses(port) == [200, 401]
        await asyncio.to_thread(key_file.write_text, hash_line("ann", OTHER))
        assert await held == [401, 200]


def stacks() -> list[list[str]]:
    """The functions in which the threads are."""
    frames = [*sys._current_frames().values()]
    return [[each.f_code.co_name for each, _ in traceback.walk_stack(frame)] for frame in frames]


# --- strangers ----------------------------------------------------------------------------------------------------


def refused(strangers: WrongKeys, host: str = "192.0.2.1", **how) -> tuple[int, float | None]:
    info = strangers.refusal(host, **how).info
    return info.status_code, info.retry_after


def test_wrong_keys_are_put_off_for_longer_and_longer() -> None:
    now = [0.0]
    strangers = WrongKeys(lambda: now[0])
    assert [refused(strangers) for _ in range(12)] == [(401, None)] * 10 + [(429, 1.0)] * 2
    assert refused(strangers, has_key=False) == (401, None)
    assert refused(strangers, "192.0.2.2") == (401, None)
    pauses = []
    for _ in range(9):
        now[0] += refused(strangers)[1]
        assert refused(strangers)[0] == 401  # one more try, after which it is longer
        pauses.append(refused(strangers)[1])
    assert pauses == [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0, 60.0]
    now[0] += wrong_keys.FORGOTTEN + 1
    assert [refused(strangers)[0] for _ in range(11)] == [401] * 10 + [429]


def test_an_ipv6_network_counts_as_one_and_the_memory_is_bounded(monkeypatch) -> None:
    strangers = WrongKeys(lambda: 0.0)
    hosts = [f"2001:db8::{number:x}" for number in range(11)]
    assert [refused(strangers, host)[0] for host in hosts] == [401] * 10 + [429]
    assert refused(strangers, "2001:db8:0:1::1")[0] == 401
    assert refused(strangers, "unknown")[0] == 401
    monkeypatch.setattr(wrong_keys, "MOST_ADDRESSES", 50)
    for number in range(200):
        refused(strangers, f"192.0.2.{number}")
    assert len(strangers) <= 50


async def test_any_number_of_wrong_keys_locks_out_nobody_and_leaves_ten_lines(caplog) -> None:
    app, provider = app_with(["ok"], access=Access(keys=[KEY]))
    async with serving(app) as port:
        told = {401: 0, 429: 0}
        for number in range(100):
            status, headers, body = await post(
                port, "/v1/messages", {}, x_api_key=f"wrong-{number}"
            )
            told[status] += 1
        assert told[429] > 80
        assert headers["x-should-retry"] == "false"
        assert 1 <= int(headers["retry-after"]) <= 60
        assert json.loads(body)["error"]["type"] == "rate_limit_error"
        # The page asks for a key upon a 401, and the holder of one, behind the same address, is let in.
        assert (await fetch(port, "/v1/models"))[0] == 401
        assert (await post(port, "/chat", {"prompt": "hi"}, x_api_key=KEY))[0] == 200
    assert len(provider.requests) == 1
    lines = [line for line in caplog.messages if "refused with" in line]
    assert len(lines) == told[401]
    assert "10 of late from there" in lines[9]


async def test_pages_from_elsewhere_and_other_names_don_t_fill_the_log_either(caplog) -> None:
    app, _ = app_with(["ok"], access=Access(keys=[KEY]))
    async with serving(app) as port:
        for _ in range(50):
            evil = {"origin": "https://evil.example", "x_api_key": KEY}
            assert (await post(port, "/chat", {"prompt": "hi"}, **evil))[0] == 403
        assert (await post(port, "/chat", {"prompt": "hi"}, x_api_key=KEY))[0] == 200
    lines = [line for line in caplog.messages if "refused with 403" in line]
    assert 10 <= len(lines) < 20
