"""Public names of a package that are loaded when first asked for (PEP 562), so that importing it stays cheap."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(
    package: str, home: Mapping[str, tuple[str, ...]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` of `package`; `home` has the names by the module of it that they live in.

    Import the same names under TYPE_CHECKING, for checkers, and list them in `__all__`.
    """
    namespace = vars(sys.modules[package])
    module_of = {name: module for module, names in home.items() for name in names}

    def load(name: str) -> Any:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(f"{package}.{module_of[name]}"), name)
        namespace[name] = value
        return value

    def list_names() -> list[str]:
        return sorted({*namespace, *namespace["__all__"]})

    return load, list_names
