"""`forager image`: build images from sources, and look at them."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forager.cli import options
from forager.cli.batch import make_all, raise_failures, succeeded
from forager.cli.builders import AGENT, HEADING, Together, open_builders
from forager.cli.console import console, echo, print_json, print_table, say
from forager.cli.derived import Derived, setting
from forager.cli.values import Size
from forager.cli.verb import Group, option
from forager.errors import EngineError, ForagerError, NodeLost, StoreError, Unreachable, UsageError

if TYPE_CHECKING:
    from forager.cli.progress import Progress
    from forager.images.builder import Builder
    from forager.images.harvest import Harvest
    from forager.images.image import Image
    from forager.images.recipe import Recipe

BUILD = Derived(
    "forager.images.settings:BuildSettings",
    {
        "Build": [
            "force",
            setting("timeout", metavar="SECONDS"),
            setting("memory", metavar="GIB"),
            "minimum_pass",
        ],
        "Many sources": [
            "executor",
            setting("address", metavar="HOST:PORT"),
            setting("images", metavar="PLACE"),
        ],
    },
)
_RECIPE, _HARVEST = "Recipe", "Many sources"


@click.group(cls=Group)
def image() -> None:
    """Build, list, show and import images of projects.

    An image holds a project whose tests are proven to run.
    """


@image.command(settings=Together(BUILD, AGENT))
@click.argument("sources", metavar="SOURCE…", nargs=-1, required=True)
@options.output(
    "FILE", "File for the records of the images (JSON Lines); it grows.", required=False
)
@options.workers
@option(
    "--recipe",
    "recipe_file",
    metavar="FILE",
    type=options.PATH,
    heading=_RECIPE,
    help="Recipe that says how to install and test; by default the project's files decide.",
)
@option(
    "--write-recipe",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    heading=_RECIPE,
    help="Write the recipe to FILE, to correct it and pass it to --recipe.",
)
@option(
    "--builders",
    metavar="LIST",
    default="rules",
    heading=_RECIPE,
    help="What repairs an inferred recipe that fails, in this order: `rules`, `activ`, "
    "`agent`; `none` repairs nothing.",
)
@option("-m", "--model", metavar="NAME", heading=HEADING, help="Model that looks for a recipe.")
@option(
    "--attempts",
    metavar="RUN",
    type=options.PATH,
    heading=HEADING,
    help="Run that gets the attempts of the model; $FORAGER_HOME/runs/image-NAME by default.",
)
@option(
    "--per-project-minutes",
    metavar="M",
    type=click.FloatRange(0, min_open=True),
    heading=_HARVEST,
    help="Minutes that one source may take: --timeout in minutes.",
)
@option(
    "--keep-free",
    type=Size(),
    default="5GB",
    heading=_HARVEST,
    help="Begin no build if the engine's disk has less free space.",
)
@option("--retry", is_flag=True, heading=_HARVEST, help="Try sources again that failed before.")
def build(
    sources: tuple[str, ...],
    output: Path | None,
    recipe_file: Path | None,
    write_recipe: Path | None,
    workers: int,
    builders: str,
    per_project_minutes: float | None,
    keep_free: int,
    retry: bool,
    **params: Any,
) -> None:
    """Build an image of each source, and prove that its tests run.

    SOURCE is a path, a git URL[@ref], pypi:NAME[==VERSION], or a text file with one SOURCE in a
    line; add #subdirectory=FOLDER for a package of a monorepo; of several sources, a monorepo that
    gives no image stands for its packages. The verb prints a line per image. It
    does not build a source again that was built before. With -o it goes on where it was ended, and
    failures go to FILE.failed.jsonl; one SOURCE alone is always tried.

    \b
    Examples:
      forager image build pypi:toolz -o images.jsonl
      forager image build ./project --write-recipe recipe.toml
      forager image build projects.txt -o images.jsonl -w 4 --per-project-minutes 10
    """
    from forager.images.harvest import Harvest, check_space, sources_of
    from forager.images.recipe import load
    from forager.locks import claimed_file
    from forager.sandboxes.engine import connect

    wanted = sources_of(sources)
    if len(wanted) > 1 and (recipe_file or write_recipe):
        raise UsageError("a recipe belongs to one source: give one SOURCE")
    recipe = load(recipe_file) if recipe_file else None
    settings = BUILD.build(BUILD.given(params))
    if per_project_minutes:
        settings = settings.model_copy(update={"timeout": 60 * per_project_minutes})

    remote = settings.executor == "ray"
    if remote and ("agent" in builders or not output):
        raise UsageError("--executor ray needs -o FILE, and builds without the builder `agent`")

    def make_here(source: str, progress: "Progress") -> "Image":
        check_space(connect(), keep_free)
        return _built(source, progress, recipe, settings, chosen)

    with ExitStack() as stack:
        chosen = stack.enter_context(open_builders(builders, params))
        make: Callable[[str, Progress], Image] = make_here
        if remote:
            make = stack.enter_context(_on_nodes(settings, chosen, recipe, keep_free))
        for path in filter(None, (output, write_recipe)):
            stack.enter_context(claimed_file(path))
        harvest = Harvest(output, retry=retry) if output else None
        make = _kept(make, harvest)
        if harvest and len(wanted) > 1:
            built = _harvested(harvest, wanted, make, workers, settings)
        else:
            built = make_all("images", wanted, make, workers)
        images = succeeded(built)
        if write_recipe:
            _write_recipe(write_recipe, wanted[0], images[0].recipe if images else recipe)
    raise_failures(built)


def _harvested(
    harvest: "Harvest",
    wanted: list[str],
    make: "Callable[[str, Progress], Image]",
    workers: int,
    settings: Any,
) -> "list[Image | ForagerError]":
    """Build the sources that have no result yet, and the packages of monorepos that failed."""
    from forager.images.unproven import identity
    from forager.sandboxes.engine import connect

    def is_there(digest: str) -> bool:
        return settings.executor == "ray" or bool(identity(connect(), digest))

    left = wanted if settings.force else harvest.left(wanted, is_there)
    if known := {*harvest.failed} & {*wanted} - {*left}:
        say(f"{len(known)} sources failed before and are left out: --retry tries them again")
    built = make_all("images", left, make, workers) if left else []
    if more := harvest.left(harvest.packages(wanted), is_there):
        say(f"building {len(more)} packages of monorepos")
        built += make_all("packages", more, make, workers)
    _print_funnel(harvest.funnel(wanted))
    return built


@contextmanager
def _on_nodes(
    settings: Any, builders: "Sequence[Builder]", recipe: "Recipe | None", keep_free: int
) -> "Iterator[Callable[[str, Progress], Image]]":
    """What builds a source on a node of a cluster, and prints its line. Raises UsageError."""
    from forager.images.nodes import builds_on
    from forager.rollout.cluster import connected

    ray = connected(settings.address)
    build_there = builds_on(ray, settings, builders, recipe=recipe, keep_free=keep_free)

    def make(source: str, progress: "Progress") -> "Image":
        progress.note(f"{source}: waiting for a node")
        made = build_there(source)
        _print_image(made)
        return made

    try:
        yield make
    finally:
        ray.shutdown()


def _print_image(made: "Image") -> None:
    echo(f"{made.reference}\t{len(made.passing)} tests pass")


def _built(
    source: str,
    progress: "Progress",
    recipe: "Recipe | None",
    settings: Any,
    builders: "Sequence[Builder]",
) -> "Image":
    """Build the image of a source and print its line."""
    from forager.images import build as builder
    from forager.sandboxes.delivery import publish

    made = builder.build(
        source,
        recipe=recipe,
        settings=settings,
        builders=builders,
        report=lambda step: progress.note(f"{source}: {step}"),
    )
    if settings.images:
        publish(made.reference, settings.images)
    _print_image(made)
    return made


def _kept(
    make: "Callable[[str, Progress], Image]", harvest: "Harvest | None"
) -> "Callable[[str, Progress], Image]":
    """Keep each image and each failure in the files of a harvest."""
    if harvest is None:
        return make

    def make_and_keep(source: str, progress: "Progress") -> "Image":
        started = time.monotonic()
        try:
            made = make(source, progress)
        except (
            StoreError,
            EngineError,
            NodeLost,
            Unreachable,
        ):  # which say nothing about the source
            raise
        except ForagerError as error:
            harvest.refused(source, error, time.monotonic() - started)
            raise
        harvest.built(made)
        return made

    return make_and_keep


def _print_funnel(counts: list[tuple[str, int]]) -> None:
    """Print how many sources gave an image, and why the others did not."""
    total = sum(count for _, count in counts)
    for name, count in counts:
        say(f"{count:>6} of {total}  {name}")


@image.command("list")
@options.as_json
def list_images(as_json: bool) -> None:
    """List the images that were built on this machine, the newest first."""
    from rich.table import Table
    from rich.text import Text

    from forager.images.image import stored_images

    images = list(stored_images())
    if as_json:
        print_json([image.model_dump(mode="json") for image in images])
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("image", overflow="fold")
    table.add_column("source", overflow="fold")
    for name in ("passing", "flaky", "failing", "seconds", "MiB"):
        table.add_column(name, justify="right", no_wrap=True)
    for image in images:
        counts = [len(image.passing), len(image.flaky), len(image.failing)]
        size = f"{image.layer_size / 2**20:.0f}"
        numbers = [*map(str, counts), f"{image.test_seconds:.1f}", size]
        table.add_row(Text(image.reference), Text(image.source.given), *numbers)
    print_table(table)


@image.command()
@click.argument("reference", metavar="REF")
@options.as_json
def show(reference: str, as_json: bool) -> None:
    """Show the recipe, the tests and the notes of an image.

    REF is the name of the image, its id, or its SOURCE.
    """
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
    echo(f"\n{dump(found.recipe)}", newline=False)


@image.command("import")
@click.argument("archives", metavar="FILE…", nargs=-1, required=True, type=options.PATH)
def import_images(archives: tuple[Path, ...]) -> None:
    """Unpack archives of `docker save` for `forager run --sandbox bubblewrap`.

    Machines with a Docker engine do not need this verb: they unpack images when attempts start.
    """
    from forager.sandboxes.unpacked import unpack

    for archive in archives:
        for image in unpack(archive):
            echo(f"{image.references[0] if image.references else image.digest}\tunpacked")


def check_sources(sources: tuple[str, ...]) -> None:
    """Find mistakes without a network: files without images, paths that do not exist."""
    from forager.images.source import check_source

    for source in _images_and_sources(sources)[1]:
        check_source(source)


def images_of(
    sources: tuple[str, ...], workers: int
) -> "tuple[list[Image], list[Image | ForagerError]]":
    """The images of files and of the sources, which are built if needed, and printed errors.

    Raises the error if there is no image.
    """
    from forager.images.build import build

    images, to_build = _images_and_sources(sources)

    def make(source: str, progress: "Progress") -> "Image":
        return build(source, report=lambda step: progress.note(f"{source}: {step}"))

    built = make_all("images", to_build, make, workers) if to_build else []
    images += succeeded(built)
    if not images:
        raise_failures(built)
    return images, [result for result in built if isinstance(result, ForagerError)]


def _images_and_sources(sources: tuple[str, ...]) -> "tuple[list[Image], list[str]]":
    """The images of files, and the sources to build. Raises UsageError if there are neither."""
    from forager.images.image import Image
    from forager.records import read_records

    files = [source for source in sources if source.endswith(".jsonl")]
    images = [image for file in files for image in read_records(Path(file), Image)]
    to_build = [source for source in sources if source not in files]
    if not images and not to_build:
        raise UsageError(f"{', '.join(sources)}: no image; `forager image build` makes some")
    return images, to_build


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
    """Write the recipe; if the build failed, the recipe that was given or inferred."""
    from forager.atomic import replace_text
    from forager.images.infer import infer
    from forager.images.recipe import dump
    from forager.images.source import fetch
    from forager.scratch import scratch

    if recipe is None:
        with scratch("source") as directory:
            tree = directory / "testbed"
            fetch(source, tree)
            recipe = infer(tree)
    replace_text(path, dump(recipe))
    say(f"wrote the recipe to {path}")
