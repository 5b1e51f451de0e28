"""`tickgate compare`: two replays held against each other."""

import json
from pathlib import Path

import click

from streams.commands.plainly import told_plainly


@click.command()
@click.argument("a")
@click.argument("b")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for strategies.parquet and differences.parquet.")
@click.option("--different-inputs", is_flag=True, help="Compare though the ticks were not the same.")
@click.option("--json", "as_json", is_flag=True, help="Say it as one line of JSON.")
def compare(a: str, b: str, out: Path | None, different_inputs: bool, as_json: bool) -> None:
    """Which executions are only in A, only in B, in both. Each is a folder of results, or FOLDER:VARIANT."""
    from streams.replay import differences
    from streams.replay.compare import COUNTS, write_by_strategy
    from streams.replay.compare import compare as held_against
    from streams.replay.compare_words import in_words
    from streams.replay.result_folder import open_result
    from streams.whole_files import make_folder

    with told_plainly():
        runs = open_result(a), open_result(b)
        if out is not None:
            make_folder(out)
        file = out / differences.NAME if out is not None else None
        compared = held_against(*runs, file, inputs_may_differ=different_inputs)
        if out is not None:
            write_by_strategy(compared, out / "strategies.parquet")
    if as_json:
        click.echo(json.dumps({name: compared.total(name) for name in COUNTS}))
        return
    for line in in_words(*runs, compared):
        click.echo(line)
