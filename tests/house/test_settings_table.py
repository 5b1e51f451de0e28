"""The settings that README.md lists are those that there are."""

from streams.settings import markdown_table
from tests.house.tree import ROOT


def test_the_readme_lists_every_setting_as_it_is() -> None:
    readme = (ROOT / "README.md").read_text()
    head, rule, *_ = markdown_table().splitlines()
    assert readme.count(head) == 1
    table = readme[readme.index(f"{head}\n{rule}\n") :].partition("\n\n")[0]
    assert f"{table}\n" == markdown_table()
