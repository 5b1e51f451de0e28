"""Data inside of a page."""

import json
from typing import Any


def embedded(data: Any) -> str:  # noqa: ANN401 - anything that JSON holds
    """JSON that nothing in it can end: it stands inside of a script element."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
