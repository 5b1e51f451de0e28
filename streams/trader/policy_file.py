"""`policy.yaml`: how much conviction a trigger needs to become a proposal, and whether that moves with what came of it.

strategy:
  min_conviction_to_propose: 0.28
  adjust: {trades: 20, step: 0.01}   # not there: it does not move
"""

from pathlib import Path
from typing import Final

from streams.entry_files.fields import Field, Place, mapping, number
from streams.entry_files.yaml_entries import yaml_tree
from streams.errors import InputError
from streams.strategy_file import text_of
from streams.trader.conviction import Adjusting, Policy

_DEFAULTS: Final = Adjusting()
_SHARE: Final = number(0, 1)

_ADJUST: Final = {
    "trades": Field(number(1, 1_000_000, whole=True), "closed trades between two looks", _DEFAULTS.trades),
    "step": Field(number(0.000001, 1), "how far it moves at once", _DEFAULTS.step),
    "least": Field(_SHARE, "the lowest it may be", _DEFAULTS.least),
    "most": Field(_SHARE, "the highest it may be", _DEFAULTS.most),
    "tighten_below": Field(_SHARE, "with a lower share of winners it rises", _DEFAULTS.tighten_below),
    "loosen_above": Field(_SHARE, "with a higher share of winners it falls", _DEFAULTS.loosen_above),
}
_STRATEGY: Final = {
    "min_conviction_to_propose": Field(_SHARE, "how sure a strategy must be, from 0 to 1", Policy().min_conviction),
    "adjust": Field(mapping(_ADJUST), "how it moves with what came of it", None),
}
_FILE: Final = mapping({"strategy": Field(mapping(_STRATEGY), "what holds for all strategies")})


def read_policy(path: Path) -> Policy:
    """Read the file, or raise `InputError` for the first thing that is wrong."""
    if path.suffix.lower() not in {".yaml", ".yml"}:
        raise InputError(str(path), "a policy file is YAML, told by its suffix", "name it .yaml or .yml")
    place, root = Place(str(path)), yaml_tree(text_of(path), str(path))
    if root is None:
        raise InputError(str(path), "there is nothing in the file", "write strategy, and what holds for it")
    given = _FILE(root, place)["strategy"]
    least = given["min_conviction_to_propose"]
    if given["adjust"] is None:
        return Policy(least)
    adjusting = Adjusting(**given["adjust"])
    within, node = place.at("strategy"), root.value["strategy"].value["adjust"]
    if not adjusting.least <= least <= adjusting.most:
        problem = (
            f"min_conviction_to_propose is {least:g}, and least to most are {adjusting.least:g} to {adjusting.most:g}"
        )
        raise within.at("adjust").error(node, problem, "write bounds that hold it")
    if adjusting.tighten_below > adjusting.loosen_above:
        problem = f"tighten_below, {adjusting.tighten_below:g}, is above loosen_above, {adjusting.loosen_above:g}"
        raise within.at("adjust").error(node, problem, "leave room between them")
    return Policy(least, adjusting)
