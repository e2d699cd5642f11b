"""`forager`: the command and how it ends.

The modules of the verbs import what they need inside the verbs, so that help answers at once.
"""

import warnings
from typing import Any

import click

from forager.cli import (
    base,
    bootstrap,
    doctor,
    evaluate,
    export,
    filter,
    image,
    look,
    report,
    run,
    screens,
    serve,
    tasks,
    train,
)
from forager.cli.console import say
from forager.errors import ForagerError, LoggedError, UsageError


class Forager(click.Group):
    """A group whose errors are one line on stderr: exit code 2 for the user's, 1 for others."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb."""
        try:
            return super().invoke(ctx)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            path = error.ctx.command_path if error.ctx else "forager"
            say(f"{error.format_message().rstrip('.')} (see `{path} --help`)")
            ctx.exit(2)
        except ForagerError as error:
            say(str(error))
            if isinstance(error, LoggedError) and error.log:
                click.echo(error.log.rstrip(), err=True)
            ctx.exit(2 if isinstance(error, UsageError) else 1)
        except KeyboardInterrupt:
            say("interrupted")
            ctx.exit(130)


@click.group(cls=Forager, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="forager-agent", message="%(version)s")
def main() -> None:
    """Any Python repository into a training ground, a model into a better model.

    Results go to stdout, progress to stderr. Every verb can be interrupted and run again.
    """
    # Mutants are compiled to be compared; what the compiler thinks of them is nobody's business.
    warnings.simplefilter("ignore", SyntaxWarning)


main.add_command(doctor.doctor)
main.add_command(image.image)
main.add_command(tasks.tasks)
main.add_command(run.run)
main.add_command(look.list_attempts)
main.add_command(look.replay)
main.add_command(screens.watch)
main.add_command(report.report)
main.add_command(look.tokens)
main.add_command(export.export)
main.add_command(filter.filter_attempts)
main.add_command(evaluate.evaluate)
main.add_command(base.base)
main.add_command(train.train)
main.add_command(serve.serve)
main.add_command(bootstrap.bootstrap)
