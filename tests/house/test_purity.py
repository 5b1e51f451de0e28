"""`streams/core` imports nothing outward, reads no clock, draws no number and does no IO."""

import pytest

from tests.house.purity import LAZY, lazy_imports, problems
from tests.house.tree import module, modules

CORE = modules("streams/core")

OFFENCES = {
    "import time": "imports time",
    "from time import time as t": "imports time.time",
    "import streams.kafka.codec": "imports streams.kafka.codec",
    "from streams import settings": "imports streams.settings",
    "import streams.corelike": "imports streams.corelike",
    "from . import limits": "imports ..limits",
    "import pyarrow.parquet as pq": "imports pyarrow.parquet",
    "import logging": "imports logging",
    "import random": "imports random",
    "def f():\n    import secrets": "imports secrets",
    "from os import urandom": "imports os.urandom",
    "from pathlib import Path": "imports pathlib.Path",
    "import exchange_calendars": "imports exchange_calendars",
    "def f():\n    import exchange_calendars": "imports exchange_calendars",
    "import datetime as d\nd.datetime.now()": "uses datetime.datetime.now",
    "from datetime import datetime as dt\nclock = dt.now": "uses datetime.datetime.now",
    "from datetime import date\ndate.today()": "uses datetime.date.today",
    "import datetime\nwhen = datetime.datetime\nwhen.utcnow()": "uses datetime.datetime.utcnow",
    "def f(day):\n    return type(day).today()": "uses .today",
    "import numpy as np\nnp.random.default_rng(1)": "uses numpy.random.default_rng",
    "from numpy.random import default_rng": "imports numpy.random.default_rng",
    "from numpy import random as r": "imports numpy.random",
    "import numpy as np\nnp.load('x')": "uses numpy.load",
    "def f(a):\n    a.tofile('x')": "uses .tofile",
    "open('x')": "uses open",
    "say = print\nsay('x')": "uses print",
    "import builtins": "imports builtins",
    "__import__('os')": "uses __import__",
    "from numba import objmode": "imports numba.objmode",
}


@pytest.mark.parametrize("source", OFFENCES)
def test_the_checker_reports(source: str) -> None:
    found = problems(module("streams/core/x.py", source))
    line = source.count("\n") + 1
    assert f"streams/core/x.py:{line}: {OFFENCES[source]}" in found


def test_the_checker_lets_pure_code_be() -> None:
    source = """
import numpy as np
from collections.abc import Callable
from datetime import UTC, datetime
from streams.core import rows
from streams.core.limits import NEVER
now_ms = 1
def f(columns):
    return columns.now_from[0], datetime.fromtimestamp(0, UTC), np.loadable, rows.now_bucket
"""
    assert problems(module("streams/core/x.py", source)) == []


@pytest.mark.parametrize("path", LAZY)
def test_a_lazy_import_may_stand_in_its_own_file_and_inside_functions_only(path: str) -> None:
    inside, outside = f"def f():\n    import {LAZY[path]}", f"import {LAZY[path]}"
    assert problems(module(path, inside)) == []
    assert problems(module(path, outside)) != []
    assert problems(module(path, f"{inside}\n{outside}")) != []


def test_core_is_there() -> None:
    assert {"streams/core/events.py", "streams/core/kernel.py"} <= {found.path for found in CORE}


def test_core_is_pure() -> None:
    assert [problem for found in CORE for problem in problems(found)] == []


def test_no_exception_outlives_its_need() -> None:
    used = {found.path: lazy_imports(found) for found in CORE}
    assert [path for path, name in LAZY.items() if name not in used.get(path, set())] == []
