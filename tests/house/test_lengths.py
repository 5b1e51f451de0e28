"""Functions and files are short enough to be seen whole; what is not stands here by name, with the reason."""

from tests.house.lengths import CODE, TESTS, TooLong, too_long
from tests.house.tree import module, modules

ONE_CACHE = "compiled functions that call each other stand in one file: see the docstring of streams/core/jit.py"

EXCEPTIONS = {
    "streams/core/decode.py": ONE_CACHE,
    "streams/core/kernel.py": ONE_CACHE,
    "streams/kafka/batch_kernel.py": ONE_CACHE,
}
"""A path, or `path::function` with the names of classes before it, and why it is better left in one piece."""

HOUSE = [found for each in modules() for found in too_long(each)]


def function(name: str, lines: int) -> str:
    """Write a function of so many lines."""
    return f"def {name}():\n" + "    pass\n" * (lines - 1)


def test_a_function_past_the_bound_is_reported() -> None:
    text = function("fits", CODE.function) + function("does_not", CODE.function + 1)
    assert list(too_long(module("streams/x.py", text))) == [TooLong("streams/x.py::does_not", 41, 40)]


def test_a_method_and_a_function_within_a_function_are_reported() -> None:
    inner = "".join(f"    {line}\n" for line in function("inner", CODE.function + 1).splitlines())
    assert [each.what for each in too_long(module("dev", f"class A:\n{inner}"))] == ["dev::A.inner"]
    assert [each.what for each in too_long(module("dev", f"async def f():\n{inner}"))] == ["dev::f", "dev::f.inner"]


def test_a_file_past_the_bound_is_reported() -> None:
    fits, does_not = "x = 1\n" * CODE.file, "x = 1\n" * (CODE.file + 1)
    assert list(too_long(module("agents/x.py", fits))) == []
    assert list(too_long(module("agents/x.py", does_not))) == [TooLong("agents/x.py", 301, 300)]


def test_a_test_may_be_longer() -> None:
    assert list(too_long(module("tests/test_x.py", function("f", TESTS.function) + "x = 1\n" * 400))) == []
    assert len(list(too_long(module("tests/test_x.py", function("f", TESTS.function + 1))))) == 1


def test_what_is_too_long_is_excepted_by_name() -> None:
    assert [str(found) for found in HOUSE if found.what not in EXCEPTIONS] == []


def test_the_house_is_looked_at() -> None:
    assert {"dev", "streams/core/events.py", "bench/workload.py"} <= {each.path for each in modules()}


def test_no_exception_outlives_its_need() -> None:
    assert sorted(set(EXCEPTIONS) - {found.what for found in HOUSE}) == []
    assert [what for what, reason in EXCEPTIONS.items() if not reason.strip()] == []
