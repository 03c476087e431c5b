"""Needs: what a cloud must be told before it can be asked, and whether this machine has it. Asks no network."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Need:
    """One thing, in any of several ways."""

    variables: tuple[str, ...]
    """Environment variables, one of which is enough."""
    argument: str = ""
    """The argument of LLMClient that may say it in their place."""
    found: Callable[[Collection[str]], bool] | None = None
    """Whether something else says it, such as files of the cloud's own tools; called with the given arguments."""
    words: str = ""
    """Of that, for people."""
    may_be_elsewhere: bool = False
    """Whether the machine itself may have it, as a role, of which only the cloud can tell."""

    def __str__(self) -> str:
        return " or ".join((*self.variables, *filter(None, (self.words,))))

    def is_met(self, given: Collection[str] = ()) -> bool:
        """Whether it is known, with these arguments given."""
        if self.argument in given or any(map(os.environ.get, self.variables)):
            return True
        return self.found is not None and self.found(given)


def missing(
    needs: tuple[Need, ...], given: Collection[str] = (), *, certain: bool = False
) -> tuple[str, ...]:
    """The first variable of each unmet need; `certain`: but for those that the machine itself may meet."""
    return tuple(
        need.variables[0]
        for need in needs
        if not (certain and need.may_be_elsewhere) and not need.is_met(given)
    )


def listed(needs: tuple[Need, ...]) -> str:
    """All needs, in one sentence."""
    return ", and ".join(map(str, needs))


def _aws_settings() -> set[str]:
    """The names of what AWS's files say of the chosen profile (docs.aws.amazon.com/sdkref/latest/guide/file-format)."""
    import configparser

    home = Path("~/.aws").expanduser()
    chosen = os.environ.get("AWS_PROFILE") or "default"
    files = {
        os.environ.get("AWS_CONFIG_FILE") or home / "config": {chosen, f"profile {chosen}"},
        os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or home / "credentials": {chosen},
    }
    names: set[str] = set()
    for path, sections in files.items():
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read(path, "utf-8")
        except (configparser.Error, OSError, UnicodeDecodeError):
            continue
        for section in sections & set(parser.sections()):
            names.update(parser.options(section))
    return names


def _has_aws_region(_: Collection[str]) -> bool:
    return "region" in _aws_settings()


def _has_aws_credentials() -> bool:
    return bool(_aws_settings() - {"region", "output"})


def _has_google_credentials(_: Collection[str]) -> bool:
    """Whether `gcloud auth application-default login` was run (cloud.google.com/docs/authentication)."""
    folder = os.environ.get("CLOUDSDK_CONFIG") or Path("~/.config/gcloud").expanduser()
    return (Path(folder) / "application_default_credentials.json").is_file()


_OF_AWS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
"""https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html."""


def aws_key(*variables: str) -> Need:
    """A bearer key in one of these variables, or credentials that sign."""
    return Need(
        variables,
        "api_key",
        lambda _: any(map(os.environ.get, _OF_AWS)) or _has_aws_credentials(),
        "AWS's credentials",
        may_be_elsewhere=True,
    )


AWS_REGION = Need(("AWS_REGION", "AWS_DEFAULT_REGION"))
AWS_REGION_OR_PROFILE = Need(
    AWS_REGION.variables, found=_has_aws_region, words="your profile's region"
)


def aws_region_or_address(region: Need, address: str, *keys: str) -> Need:
    """A region; or the address in this variable, which is enough where no request is signed: with a key."""

    def found(given: Collection[str]) -> bool:
        has_address = "base_url" in given or bool(os.environ.get(address))
        has_key = "api_key" in given or any(map(os.environ.get, keys))
        is_known = region.found is not None and region.found(given)
        return is_known or (has_address and has_key)

    words = " or ".join(filter(None, (region.words, f"{address} with a key")))
    return Need(region.variables, found=found, words=words)


GOOGLE_TOKEN = Need(
    ("GOOGLE_APPLICATION_CREDENTIALS",),
    "api_key",
    _has_google_credentials,
    "other credentials of Google's",
    may_be_elsewhere=True,
)
