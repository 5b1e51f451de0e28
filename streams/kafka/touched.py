"""What code of others looks up by name: so that a test says so when an upgrade moves what ours leans on."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any


def no_longer_used(touched: Mapping[Callable[..., Any], Iterable[str]]) -> list[str]:
    """Name what a function no longer looks up, though ours has it so; nothing, if all is as it was."""
    return [
        f"{function.__qualname__} no longer uses {name}"
        for function, names in touched.items()
        for name in names
        if name not in function.__code__.co_names
    ]
