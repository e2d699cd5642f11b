"""`forager image`: sources into images, and the images that there are."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from forager.cli import options
from forager.cli.batch import make_all, raise_failures, succeeded
from forager.cli.console import console, print_json, print_table, say
from forager.errors import UsageError

if TYPE_CHECKING:
    from forager.cli.progress import Progress
    from forager.images.image import Image
    from forager.images.recipe import Recipe


@click.group()
def image() -> None:
    """Make images of projects whose tests are proven to run."""


@image.command()
@click.argument("sources", metavar="SOURCE…", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File for the records of the images (JSON Lines).",
)
@click.option(
    "--recipe",
    "recipe_file",
    type=click.Path(path_type=Path),
    help="How to install and test; worked out from the project's files where not given.",
)
@click.option(
    "--write-recipe",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the recipe that was used, to correct it and give it back.",
)
@click.option(
    "--timeout", type=float, default=1800, show_default=True, help="Seconds for the install."
)
@click.option("--memory", type=float, help="GiB for the build and the tests; the recipe's else.")
@click.option(
    "--minimum-pass",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="Least share of tests that must pass.",
)
@click.option("--force", is_flag=True, help="Build again what was built before.")
@options.workers
def build(
    sources: tuple[str, ...],
    output: Path | None,
    recipe_file: Path | None,
    write_recipe: Path | None,
    timeout: float,
    memory: float | None,
    minimum_pass: float,
    force: bool,
    workers: int,
) -> None:
    """Build an image of each SOURCE: a path, a git URL[@ref] or pypi:NAME[==VERSION].

    A source that was built before is not built again. Prints a line an image.
    """
    if len(sources) > 1 and (recipe_file or write_recipe):
        raise UsageError("a recipe belongs to one source; give one SOURCE with it")
    from forager.images import build as builder
    from forager.images.recipe import load

    recipe = load(recipe_file) if recipe_file else None

    def make(source: str, progress: "Progress") -> "Image":
        made = builder.build(
            source,
            recipe=recipe,
            timeout=timeout,
            minimum_pass=minimum_pass,
            memory=round(memory * 2**30) if memory else None,
            force=force,
            report=lambda step: progress.note(f"{source}: {step}"),
        )
        click.echo(f"{made.reference}\t{len(made.passing)} tests pass")
        return made

    built = make_all("images", sources, make, workers)
    images = succeeded(built)
    if output and images:
        from forager.records import write_records

        write_records(output, images)
    if write_recipe:
        _write_recipe(write_recipe, sources[0], images[0].recipe if images else recipe)
    raise_failures(built)


@image.command("list")
@options.as_json
def list_images(as_json: bool) -> None:
    """List the images built here, the newest first."""
    from rich.table import Table
    from rich.text import Text

    from forager.images.image import stored_images

    images = list(stored_images())
    if as_json:
        print_json([one.model_dump(mode="json") for one in images])
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("image", overflow="fold")
    table.add_column("source", overflow="fold")
    for name in ("passing", "flaky", "failing", "seconds", "MiB"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in images:
        counts = [len(one.passing), len(one.flaky), len(one.failing)]
        numbers = [*map(str, counts), f"{one.test_seconds:.1f}", f"{one.layer_size / 2**20:.0f}"]
        table.add_row(Text(one.reference), Text(one.source.given), *numbers)
    print_table(table)


@image.command()
@click.argument("reference", metavar="REF")
@options.as_json
def show(reference: str, as_json: bool) -> None:
    """Show an image by its name, its id or its SOURCE: recipe, tests, notes."""
    from forager.images.image import find_image
    from forager.images.recipe import dump

    found = find_image(reference)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    output = console()
    for name, value in _facts(found):
        if value:
            output.print(f"{name:<9} {value}", soft_wrap=True)
    for note in found.notes:
        output.print(f"note      {note}", soft_wrap=True)
    click.echo(f"\n{dump(found.recipe)}", nl=False)


@image.command("import")
@click.argument(
    "archives", metavar="FILE…", nargs=-1, required=True, type=click.Path(path_type=Path)
)
def import_images(archives: tuple[Path, ...]) -> None:
    """Unpack images that `docker save` wrote, for `forager run --sandbox bubblewrap`.

    A machine that has an engine needs this not: there images are unpacked when they are run.
    """
    from forager.sandboxes.unpacked import unpack

    for archive in archives:
        for one in unpack(archive):
            click.echo(f"{one.references[0] if one.references else one.digest}\tunpacked")


def _facts(found: "Image") -> list[tuple[str, str]]:
    source = found.source
    return [
        ("image", found.reference),
        ("id", found.digest),
        ("source", f"{source.given}, {source.name} {source.version}".rstrip()),
        ("licence", source.licence),
        ("Python", f"{found.python_version}, {found.package_count} packages"),
        (
            "tests",
            f"{len(found.passing):,} pass, {len(found.flaky):,} flaky, "
            f"{len(found.failing):,} fail, {found.skipped:,} skipped, "
            f"in {found.test_seconds:.1f} s",
        ),
        ("flaky", ", ".join(found.flaky[:5]) + (", …" if len(found.flaky) > 5 else "")),
        ("failing", ", ".join(found.failing[:5]) + (", …" if len(found.failing) > 5 else "")),
        ("left out", ", ".join(found.dropped)),
        ("size", f"{found.layer_size / 2**20:.0f} MiB upon {found.base}"),
        ("built", f"{found.created_at}, in {found.build_seconds:.0f} s"),
    ]


def _write_recipe(path: Path, source: str, recipe: "Recipe | None") -> None:
    """Write the recipe that worked, or the one to correct: that given, or that worked out."""
    from tempfile import TemporaryDirectory

    from forager.images.infer import infer
    from forager.images.recipe import dump
    from forager.images.source import fetch

    if recipe is None:
        with TemporaryDirectory(prefix="forager-source-") as name:
            tree = Path(name) / "testbed"
            fetch(source, tree)
            recipe = infer(tree)
    try:
        path.write_text(dump(recipe), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
    say(f"wrote the recipe to {path}")
