"""`forager tokens`: whether the token ids of attempts can be trained on."""

from itertools import islice
from pathlib import Path

import click

from forager.cli import options
from forager.cli.console import print_json, print_table
from forager.cli.runs import opened, runs_argument
from forager.cli.verb import Verb
from forager.errors import UsageError


@click.command(cls=Verb)
@runs_argument
@options.limit
@options.as_json
@click.pass_context
def tokens(
    context: click.Context, runs: tuple[Path, ...], limit: int | None, as_json: bool
) -> None:
    """Check that the token ids of runs can be trained on.

    A prompt must begin with the ids of the prompt and completion before it. If the chat template
    rendered it in another way, the training sequence has to be split there. The exit code is 1 if
    there is such a prompt. --limit counts attempts.
    """
    from forager.trajectories.tokens import check

    attempts = (attempt for index in opened(runs) for attempt in index.trajectories())
    checked = check(islice(attempts, limit))
    if checked.attempts and not checked.attempts_with_ids:
        raise UsageError("no attempt has token ids; `forager run … --token-ids` keeps them")
    if as_json:
        print_json(checked.model_dump())
    else:
        from forager.evaluation.report import token_tables

        for table in token_tables(checked):
            print_table(table)
    context.exit(1 if checked.calls_rewritten else 0)
