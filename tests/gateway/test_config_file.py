"""Configuration files: what is wrong in one is named with its line, and no key of it is shown."""

from __future__ import annotations

import json
import time
import tomllib
from datetime import date

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from llmstream.gateway.config_file import TABLES, parse_config, read_text
from llmstream.gateway.config_flaws import ConfigFileError
from llmstream.gateway.config_models import MODEL_KEYS
from llmstream.gateway.toml_lines import TomlLines
from llmstream.limits import Rate
from llmstream.web import KeyLimits
from llmstream.web.keys import hash_line
from tests.patience import PATIENCE

KEY = "llmstream-canary-config"
MODEL = '[models.a]\nmodel = "simulator"\n'
HOUSE = '[models.a]\nmodel = "openai:x"\nkey_env = "HOUSE_KEY"\n'


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "OPENAI_BASE_URL", "UNSET"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOUSE_KEY", "HOUSE_KEY_2"):
        monkeypatch.setenv(name, f"{KEY}-{name}")


def flaws(text: str):
    with pytest.raises(ConfigFileError) as raised:
        parse_config(text, "gw.toml", workers=2 if "concurrent = 1" in text else 1)
    assert KEY not in str(raised.value)
    return raised.value.flaws


BAD = {
    "nothing": ("", 1, "there are no models: add [models.fast]"),
    "no models": ("[limits]\nper_client = 1\n", 1, "there are no models"),
    "empty models": ("\n[models]\n", 2, "there are no models"),
    "half a string": ('[models.a]\nmodel = "simulator\n', 2, "this isn't TOML: "),
    "no quotes": ("[models.a]\nmodel = simulator\n", 2, "a text stands in quotes"),
    "no end": (MODEL + "aliases = [\n", 3, "this isn't TOML: "),
    "a key twice": (
        MODEL + 'model = "simulator"\n',
        3,
        "this isn't TOML: Cannot overwrite a value",
    ),
    "a table twice": (MODEL + MODEL, 3, "this isn't TOML: Cannot declare"),
    "unknown table": (MODEL + "\n[alias]\nb = 'a'\n", 4, "did you mean aliases?"),
    "unknown key at the top": (
        "workers = 4\n" + MODEL,
        1,
        "there are models, aliases, keys, limits, http, rate",
    ),
    "models as a list": ('[[models]]\nname = "a"\n', 1, "models must be a table: write [models]"),
    "a model as a text": ('[models]\na = "simulator"\n', 2, "a must be a table: write [models.a]"),
    "a model as a list": ("[[models.a]]\nmodel = 'simulator'\n", 1, "a must be a table"),
    "hosted tools as a number": (
        MODEL + "[clients]\nhosted_tools = 5\n",
        4,
        "hosted_tools must be names of providers' tools",
    ),
    "a limit of what is kept": (
        MODEL + "[kept]\nturns = 0\n",
        4,
        "turns must be a whole number from 1 on, or None",
    ),
    "an age of what is kept": (MODEL + "[kept]\nttl = -1\n", 4, "ttl must be seconds"),
    "unknown key of what is kept": (MODEL + "[kept]\nturn = 1\n", 4, "did you mean turns?"),
    "unknown key of clients": (
        MODEL + '[clients]\nhosted_tool = ["mcp"]\n',
        4,
        "did you mean hosted_tools?",
    ),
    "no model": (
        "[models.a]\nallow_insecure_http = true\n",
        1,
        'a has no model: write model = "provider:',
    ),
    "misspelt model": ('[models.a]\n\nmodle = "simulator"\n', 3, "did you mean model?"),
    "unknown provider": ('[models.a]\nmodel = "opnai:x"\n', 2, "did you mean 'openai'?"),
    "bare model": ('[models.a]\nmodel = "llama"\n', 2, 'write "provider:model"'),
    "no model behind the colon": ('[models.a]\nmodel = "openai:"\n', 2, "no model after the colon"),
    "model as a number": ("[models.a]\nmodel = 5\n", 2, "model must be a string"),
    "a host without a default": ('[models.a]\nmodel = "vllm"\n', 2, 'write model = "vllm:…"'),
    "blank name": ('[models." "]\nmodel = "simulator"\n', 1, "a model needs a name"),
    "no key": (
        '[models.a]\nmodel = "openai:x"\n',
        2,
        "no key for openai: set OPENAI_API_KEY, or name",
    ),
    "a key itself": (
        f'[models.a]\nmodel = "openai:x"\nkey_env = "{KEY}"\n',
        3,
        "if this is a key, take it out",
    ),
    "a key in a list": (
        f'[models.a]\nmodel = "openai:x"\nkey_env = [\n  "HOUSE_KEY",\n  "{KEY}",\n]\n',
        5,
        "if this is a key, take it out",
    ),
    "api_key": (
        f'{HOUSE}api_key = "{KEY}"\n',
        4,
        'name the variable that holds it, key_env = "NAME"',
    ),
    "a key as the model's neighbour": (
        f'{MODEL}token = "{KEY}"\n',
        3,
        "keys don't stand in this file",
    ),
    "unset variable": ('[models.a]\nmodel = "openai:x"\nkey_env = "UNSET"\n', 3, "UNSET isn't set"),
    "unset variable in a list": (
        '[models.a]\nmodel = "openai:x"\nkey_env = [\n"HOUSE_KEY",\n"UNSET"]\n',
        5,
        "the environment variable UNSET isn't set",
    ),
    "key_env as a table": (MODEL + "key_env = { a = 1 }\n", 3, "not a table"),
    "empty list of keys": (MODEL + "key_env = []\n", 3, "not an empty one"),
    "blank address": (HOUSE + 'base_url = " "\n', 4, "base_url must be an address"),
    "the same key twice": (HOUSE.replace('"HOUSE_KEY"', '["HOUSE_KEY", "HOUSE_KEY"]'), 3, "twice"),
    "a key for nobody": (MODEL + 'key_env = "HOUSE_KEY"\n', 3, "provider simulator takes none"),
    "an address for nobody": (MODEL + 'base_url = "http://127.0.0.1:1"\n', 3, "takes none"),
    "plain http": (
        HOUSE + 'base_url = "http://192.0.2.7/v1"\n',
        4,
        "write allow_insecure_http = true",
    ),
    "one address of two": (
        HOUSE + 'base_url = ["https://a.example/v1",\n "ftp://b.example"]\n',
        4,
        "must begin with https://",
    ),
    "a password in the address": (
        HOUSE + f'base_url = "https://u:{KEY}@a.example"\n',
        4,
        "key_env in",
    ),
    "url": (HOUSE + 'url = "https://a.example/v1"\n', 4, "write base_url"),
    "keys and addresses": (
        HOUSE.replace('"HOUSE_KEY"', '["HOUSE_KEY", "HOUSE_KEY_2"]')
        + 'base_url = ["https://a.example", "https://b.example", "https://c.example"]\n',
        4,
        "2 keys and 3 addresses don't go together: give one of either",
    ),
    "insecure as a text": (
        HOUSE + 'allow_insecure_http = "yes"\n',
        4,
        "must be true or false, not a text",
    ),
    "context as a text": (
        MODEL + 'context = "8k"\n',
        3,
        "context must be a number of tokens, not a text",
    ),
    "no context": (MODEL + "context = 0\n", 3, "context must be a number of tokens"),
    "ability as a number": (
        MODEL + "images = 1\n",
        3,
        "images must be true or false, not a number",
    ),
    "unknown fallback": (
        MODEL + 'fallbacks = ["b"]\n' + MODEL.replace(".a", ".bb"),
        3,
        "did you mean bb?",
    ),
    "its own fallback": (MODEL + 'fallbacks = ["a"]\n', 3, "a can't be its own fallback"),
    "one fallback of several": (
        MODEL + 'fallbacks = [\n  "b",\n  "c",\n]\n' + MODEL.replace(".a", ".b"),
        5,
        "there is no model 'c' in this file",
    ),
    "a fallback as a text": (MODEL + 'fallbacks = "b"\n', 3, "must be a list of names"),
    "a cause that there isn't": (
        MODEL + 'fallbacks = ["b"]\nfallback_also_on = ["refusals"]\n' + MODEL.replace(".a", ".b"),
        4,
        "'refusals' isn't a failure: did you mean refusal?",
    ),
    "causes as a number": (MODEL + "fallback_also_on = 3\n", 3, "must be a list of failures"),
    "causes without fallbacks": (
        MODEL + 'fallback_also_on = ["refusal"]\n',
        3,
        "fallback_also_on needs fallbacks",
    ),
    "fallbacks as numbers": (MODEL + "fallbacks = [1]\n", 3, "must be a list of names"),
    "alias of nothing": (
        MODEL + '[aliases]\nb = "simulator:x"\n',
        4,
        "there is no model 'simulator:x'",
    ),
    "alias of another": (MODEL + '[aliases]\nb = "a"\nc = "b"\n', 5, "there is no model 'b'"),
    "alias like a model": (MODEL + '[aliases]\na = "a"\n', 4, "a is the name of a model already"),
    "alias as a list": (MODEL + '[aliases]\nb = ["a"]\n', 4, "is the name of a model of this file"),
    "aliases as a list": (
        "aliases = ['a']\n" + MODEL,
        1,
        "aliases must be a table: write [aliases]",
    ),
    "keys as a list": (
        MODEL + "[[keys]]\nname = 'ann'\n",
        3,
        "keys must be a table: write [keys]",
    ),
    "a key's name": (MODEL + "[keys.'two words']\n", 3, "a key's name has letters"),
    "a client's key itself": (
        MODEL + f"[keys.ann]\nkey = '{KEY}'\n",
        4,
        "there are sha256, models, rate",
    ),
    "a key in place of its hash": (
        MODEL + f"[keys.ann]\nsha256 = '{KEY}'\n",
        4,
        "sha256 must be what stands behind the colon",
    ),
    "a hash in place of two": (MODEL + "[keys.ann]\nsha256 = []\n", 4, "not an empty one"),
    "one key of two": (
        MODEL + f"[keys.ann]\nsha256 = '{'a' * 64}'\n[keys.bob]\nsha256 = '{'A' * 64}'\n",
        6,
        "ann has the same key",
    ),
    "a key of all others": (
        MODEL + f"[keys.'*']\nsha256 = '{'a' * 64}'\n",
        4,
        '"*" stands for the others',
    ),
    "a key's model": (
        MODEL + "[keys.ann]\nmodels = ['b']\n",
        4,
        "there is no model or alias 'b' in this file",
    ),
    "a key's rate": (
        MODEL + "[keys.ann]\nrate = { request = 5 }\n",
        4,
        "did you mean requests?",
    ),
    "a key's rate of nothing": (MODEL + "[keys.ann]\nrate = {}\n", 4, "this rate limits nothing"),
    "a key's money": (
        MODEL + "[keys.ann]\nspend_limit = { max_costs = 5 }\n",
        4,
        "did you mean max_cost?",
    ),
    "a key's money of nothing": (
        MODEL + "[keys.ann]\nspend_limit = { max_cost = 0 }\n",
        4,
        "max_cost must be US dollars above 0",
    ),
    "a key's money without an amount": (
        MODEL + "[keys.ann]\nspend_limit = { per = 60 }\n",
        4,
        "max_cost must be US dollars above 0",
    ),
    "a key's money as a number": (
        MODEL + "[keys.ann]\nspend_limit = 5\n",
        4,
        "spend_limit",
    ),
    "no such limit": (MODEL + "[limits]\nper_clients = 4\n", 4, "did you mean per_client?"),
    "total": (MODEL + "[limits]\ntotal = 4\n", 4, "write max_streams"),
    "a limit of nothing": (MODEL + "[limits]\nper_client = 0\n", 4, "must be more than 0"),
    "a limit as a text": (MODEL + '[limits]\nper_client = "many"\n', 4, "must be a whole number"),
    "a limit as a truth": (
        MODEL + "[limits]\nmax_body = true\n",
        4,
        "must be a whole number (bytes)",
    ),
    "a time without end": (
        MODEL + "[limits]\nbody_timeout = inf\n",
        4,
        "must be a number (seconds)",
    ),
    "a limit that must be": (MODEL + '[limits]\nmax_body = "none"\n', 4, "must be a whole number"),
    "a bound of nothing": (MODEL + "[http]\nhead_time = 0\n", 4, "must be more than 0"),
    "a bound that must be": (MODEL + '[http]\nconnections = "none"\n', 4, "must be a whole number"),
    "no such bound": (MODEL + "[http]\nheader = 5\n", 4, "did you mean headers?"),
    "limits as a number": ("limits = 4\n" + MODEL, 1, "limits must be a table: write [limits]"),
    "a rate of nothing": (
        MODEL + "[rate]\nrequests = 0\n",
        4,
        "requests must be a number of at least 1",
    ),
    "a rate that limits nothing": (MODEL + "[rate]\nper = 10\n", 3, "this rate limits nothing"),
    "an empty rate": (MODEL + "rate = {}\n", 3, "this rate limits nothing"),
    "a model's rate": (MODEL + "rate = { request = 5 }\n", 3, "did you mean requests?"),
    "a model's rate as a table": (
        MODEL + "\n[models.a.rate]\nrequests = 5\nper = -1\n",
        6,
        "per must be a number",
    ),
    "two rates for one": (
        f"{HOUSE}rate = {{ requests = 5 }}\n"
        + HOUSE.replace(".a", ".b")
        + "rate = { requests = 6 }\n",
        8,
        "a is the same model with the same key, and has another rate",
    ),
    "too little for the workers": (
        MODEL + "rate = { concurrent = 1 }\n",
        3,
        "must be at least 2: each",
    ),
    "within a string of several lines": (
        '[models.a]\nmodel = """\nsimulator\n[limits]\nper_client = 0\n"""\n',
        2,
        "can't tell whose model",
    ),
}


@pytest.mark.parametrize(("text", "line", "said"), BAD.values(), ids=BAD)
def test_what_is_wrong_is_named_with_its_line(text, line, said) -> None:
    found = flaws(text)
    assert any(flaw.line == line and said in flaw.text for flaw in found), found


@pytest.mark.parametrize(("text", "line", "said"), BAD.values(), ids=BAD)
def test_it_is_the_only_flaw_that_is_named(text, line, said) -> None:
    found = flaws(text)
    # A model whose key is misspelt lacks it as well.
    assert len(found) == 1 + ("modle" in text), found


def test_all_that_is_wrong_is_told_at_once_in_the_order_of_the_file() -> None:
    parts = [text for text, _, _ in BAD.values() if text.startswith(MODEL + "[limits]")]
    text = (
        MODEL
        + "keyenv = 'X'\n[limits]\n"
        + "".join(part.split("[limits]\n")[1] for part in parts[:2])
    )
    with pytest.raises(ConfigFileError) as raised:
        parse_config(text, "gw.toml")
    told = str(raised.value).splitlines()
    assert [line.split(":")[0] for line in told] == [
        "gw.toml, line 3",
        "gw.toml, line 5",
        "gw.toml, line 6",
    ]


def test_a_file_that_is_right_says_what_it_means() -> None:
    config = parse_config(
        """
# comments, and keys in any way of TOML
limits = { per_client = 8, max_messages = "none" }
rate.requests = 100

[models]
"house model" = { model = "openai:qwen", key_env = ["HOUSE_KEY", "HOUSE_KEY_2"], fallbacks = ["sim"] }
sim.model = "simulator"
sim.rate = { concurrent = 2 }

[aliases]
"gpt-4o" = "house model"

[keys.ann]
sha256 = "{HASH}"
models = ["sim", "gpt-4o"]
rate = { requests = 60, concurrent = 2 }

[keys."*"]
rate.requests = 6
""".replace("{HASH}", hash_line("ann", KEY).partition(":")[2]),
        "gw.toml",
    )
    assert config.keys.ring.find(KEY) == "ann"
    assert config.keys.limits == {
        "ann": KeyLimits(["sim", "gpt-4o"], Rate(requests=60, concurrent=2)),
        "*": KeyLimits(rate=Rate(requests=6)),
    }
    assert [*config.pools] == ["house model", "sim"]
    house = config.pools["house model"]
    assert [target.model for target in house.targets] == ["qwen", "qwen"]
    assert house.fallbacks == [config.pools["sim"]]
    assert config.limits == {"per_client": 8, "max_messages": None}
    assert (config.rate, config.rates) == ({"requests": 100}, {"sim": Rate(concurrent=2)})
    assert config.aliases == {"gpt-4o": "house model"}
    assert KEY not in repr(config)


@pytest.mark.parametrize(
    ("keys", "urls", "pairs"),
    [
        (1, 0, 1),
        (2, 0, 2),
        (0, 2, 2),
        (1, 2, 2),
        (2, 1, 2),
        (2, 2, 2),
    ],
)
def test_each_key_or_address_is_an_endpoint(keys, urls, pairs) -> None:
    text = '[models.a]\nmodel = "openai:x"\nallow_insecure_http = true\n'
    if keys:
        text += f"key_env = {['HOUSE_KEY', 'HOUSE_KEY_2'][:keys]}\n"
    if urls:
        text += f"base_url = {['http://127.0.0.1:1/v1', 'http://127.0.0.1:2/v1'][:urls]}\n"
    targets = parse_config(text, "gw.toml").pools["a"].targets
    accounts = {target.provider.traits.budget_key for target in targets}
    assert (len(targets), len(accounts)) == (pairs, pairs)


def test_a_file_that_cannot_be_read_is_told(tmp_path) -> None:
    bad = tmp_path / "latin.toml"
    bad.write_bytes('[models.a]\n# caf\u00e9\nmodel = "simulator"\n'.encode("latin-1"))
    for path, said in (
        (tmp_path / "none.toml", "can't be read: No such file"),
        (tmp_path, "can't be read: Is a directory"),
        (bad, "line 2: this isn't UTF-8"),
    ):
        with pytest.raises(ConfigFileError, match=said):
            read_text(str(path))
    good = tmp_path / "bom.toml"
    good.write_bytes("\ufeff[models.a]\r\nmodel = 'simulator'\r\n".encode())
    assert [*parse_config(read_text(str(good)), "bom.toml").pools] == ["a"]


def test_a_key_that_no_header_could_hold_is_told_by_its_variable(monkeypatch) -> None:
    monkeypatch.setenv("HOUSE_KEY", f"{KEY}\nx")
    (flaw,) = flaws(HOUSE)
    assert (flaw.line, flaw.text.startswith("HOUSE_KEY holds")) == (3, True), flaw


def test_flaws_of_a_long_file_are_found_at_once() -> None:
    """By reading each line a few times, not the whole file for each line."""
    text = "".join(f'[models.m{number}]\nmodel = "simulator"\nx = 1\n' for number in range(2_000))
    began = time.process_time()
    assert [flaw.line for flaw in flaws(text)] == [3 * number + 3 for number in range(2_000)]
    assert time.process_time() - began < PATIENCE


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        ("a.b.c = 1\n", ("a", "b", "c"), 1),
        ("[a]\nb.c = 1\n", ("a", "b", "c"), 2),
        ("[a.b]\nc = 1\n", ("a",), 1),
        ('["a.b"]\n"c d" = 1\n', ("a.b", "c d"), 2),
        ("# [a]\n\n  [a] # b = 1\n\tb = 1 # c\n", ("a", "b"), 4),
        ('x = """\n[a]\nb = 1\n"""\n[a]\nb = 2\n', ("a", "b"), 6),
        ("a = [\n  { b = 1 },\n  { c = 2 },\n]\n", ("a", 1, "c"), 3),
        ('a = [ # why\n  "x", # "y"\n  "y",\n]\n', ("a", 0), 2),
        ("a = { b = [1,\n2] }\nb = 3\n", ("b",), 3),
        ("[[a]]\nb = 1\n[[a]]\nc = 1\n", ("a", 1, "c"), 4),
        ("[a]\nb = 1\n", ("a", "missing"), 1),
        ("[a]\nb = 1\n", ("missing",), 1),
        ("a = [\n[\n1,\n],\n]\nb = 1\n", ("b",), 6),
        ("a = '''\nb = 1\n'''\nb = 2\n", ("b",), 4),
    ],
)
def test_the_line_of_a_key_in_every_way_of_toml(text, path, line) -> None:
    tomllib.loads(text)
    assert TomlLines(text).find(path) == line


NAMES = st.text("abcdef", min_size=1, max_size=4)
VALUES = st.sampled_from(
    ['"x"', "1", "[\n1,\n2,\n]", '"""\n[a]\nb = 1\n"""', "{ k = 1 }", "'''\n'''"]
)


@given(st.dictionaries(NAMES, st.dictionaries(NAMES, VALUES, min_size=1, max_size=4), max_size=4))
def test_every_key_has_the_line_that_it_stands_in(tables) -> None:
    lines: list[str] = []
    places: dict[tuple[str, ...], int] = {}
    for name, table in tables.items():
        lines += ["", "# x = 1", f"[{name}]"]
        places[name,] = len(lines)
        for key, value in table.items():
            places[name, key] = len(lines) + 1
            lines += f"{key} = {value}".split("\n")
    text = "\n".join(lines)
    tomllib.loads(text)
    finder = TomlLines(text)
    assert {path: finder.find(path) for path in places} == places


def written(value) -> str:
    """A value as TOML."""
    if isinstance(value, dict):
        pairs = (f"{json.dumps(key)} = {written(inner)}" for key, inner in value.items())
        return f"{{ {', '.join(pairs)} }}"
    if isinstance(value, list):
        return "[\n" + ",\n".join(map(written, value)) + "\n]"
    if isinstance(value, date):
        return value.isoformat()
    return json.dumps(value)


WORDS = st.sampled_from(
    [
        *TABLES,
        *MODEL_KEYS,
        "a",
        "b",
        "simulator",
        "openai:x",
        "HOUSE_KEY",
        "http://127.0.0.1:1",
        "none",
    ]
)
ANY = st.recursive(
    st.one_of(WORDS, st.text(max_size=3), st.booleans(), st.integers(-2, 9), st.just(date.min)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(WORDS, ANY, max_size=4), st.dictionaries(WORDS, ANY, max_size=6))
def test_any_file_is_read_or_refused_with_lines_that_it_has(document, model) -> None:
    document["models"] = document.get("models", {"a": model})
    text = "".join(f"{json.dumps(key)} = {written(value)}\n" for key, value in document.items())
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:  # text that TOML has no escapes for
        assume(False)
    lines = [1]
    try:
        parse_config(text, "gw.toml", workers=2)
    except ConfigFileError as refused:
        lines = [flaw.line for flaw in refused.flaws]
    assert lines
    assert all(1 <= line <= text.count("\n") for line in lines)
