"""`tickgate settings`: what can be set, and what is."""

import click

from streams.commands.plainly import settings as current_settings
from streams.commands.plainly import told_plainly
from streams.settings import describe, markdown_table


@click.command()
@click.option("--markdown", is_flag=True, help="The table of the README, with the defaults.")
def settings(*, markdown: bool) -> None:
    """Show every setting, its value in force and its meaning."""
    if markdown:
        click.echo(markdown_table(), nl=False)
        return
    with told_plainly():
        shown = current_settings().shown()
    for each in describe():
        given = "" if shown[each.variable] == each.default else "  (set)"
        click.echo(f"{each.variable}={shown[each.variable]}{given}\n    {each.means}")
