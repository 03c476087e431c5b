"""How many examples hypothesis tries, by profile.

A test that needs more or fewer than others says so with `@examples(400)`. The count is what the profile `long` tries;
other profiles try their share of it. `pytest --hypothesis-profile=long` chooses one.
"""

from __future__ import annotations

from hypothesis import settings

WHOLE = 100
"""Examples of a test without a count of its own, in the profile `long`."""
PROFILES = {"ci": 25, "long": WHOLE}


def register() -> None:
    """Register the profiles and load `ci`. Each tries the same examples every time."""
    for name, count in PROFILES.items():
        settings.register_profile(name, deadline=None, derandomize=True, max_examples=count)
    settings.load_profile("ci")


def examples(count: int) -> settings:
    """Settings, or a decorator, for `count` examples in the profile `long` and a share of them in others."""
    share = settings().max_examples / WHOLE
    return settings(max_examples=max(1, round(count * share)))
