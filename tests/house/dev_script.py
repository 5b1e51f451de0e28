"""Loads `./dev`, which is a script without an ending, as a module."""

from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from types import ModuleType

from tests.house.tree import ROOT


def load_dev() -> ModuleType:
    """Load it afresh, so that a test may change what is in it."""
    loader = SourceFileLoader("dev", str(ROOT / "dev"))
    spec = spec_from_loader("dev", loader)
    assert spec is not None
    dev = module_from_spec(spec)
    loader.exec_module(dev)
    return dev
