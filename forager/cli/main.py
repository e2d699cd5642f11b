"""`forager`: the verbs, grouped by what a person does.

The modules of the verbs import what they need inside the verbs, so that help answers at once.
"""

import warnings

import click

from forager.cli import (
    audit,
    base,
    bootstrap,
    credit,
    debug,
    doctor,
    evaluate,
    export,
    filter,
    image,
    listing,
    replay,
    report,
    rl,
    run,
    screens,
    select,
    serve,
    tasks,
    tokens,
    trace,
    train,
)
from forager.cli.verb import Forager


@click.group(cls=Forager, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(
    package_name="forager-agent",
    message="%(version)s",
    help="Print the version of forager and exit.",
)
def main() -> None:
    """Turn Python repositories into tasks, attempt them, and train on the attempts.

    Results go to stdout, progress goes to stderr. You can interrupt every verb and run it again: it
    continues where it stopped. `forager VERB --help` explains a verb.

    \b
    First steps:
      forager doctor
      forager image build pypi:toolz -o images.jsonl
      forager tasks mutate-fix images.jsonl -o tasks.jsonl --limit 10
      forager run tasks.jsonl -o runs/repair -m repair
      forager replay runs/repair
    """
    # Mutants are compiled to be compared; nobody needs the compiler's warnings about them.
    warnings.simplefilter("ignore", SyntaxWarning)


main.add_verbs("Set up", doctor.doctor, doctor.schema)
main.add_verbs("Make images, tasks and traces", image.image, tasks.tasks, trace.trace)
main.add_verbs(
    "Run attempts", run.run, screens.watch, evaluate.evaluate, select.select, audit.audit
)
main.add_verbs(
    "Look at attempts and traces",
    listing.list_attempts,
    replay.replay,
    debug.debug,
    report.report,
    tokens.tokens,
)
main.add_verbs(
    "Learn from attempts",
    filter.filter_attempts,
    credit.credit,
    export.export,
    train.train,
    serve.serve,
    bootstrap.bootstrap,
    rl.rl,
    base.base,
)
