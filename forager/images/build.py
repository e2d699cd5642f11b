"""From a SOURCE to an image whose tests are known to pass.

The steps: fetch, infer the recipe, install in a build container, reduce the repository to one
commit, look for copies of the project outside it, commit the image, run the tests twice in fresh
sandboxes. Code of the project runs in containers only: with network while it is installed, without
in the tests. No cache is shared between builds, so that no project can write into another's.
"""

import hashlib
import json
import re
import shlex
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import docker
from docker.errors import DockerException, ImageNotFound
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from forager.environments.repository.task import TestSetup
from forager.environments.repository.testing import TestReport, run_tests
from forager.errors import BuildError, SourceError
from forager.images.base import CHANGES, PYTHON_LABEL, ensure_base
from forager.images.image import Image, store, stored
from forager.images.infer import infer
from forager.images.install import Installed, install
from forager.images.layout import required_python
from forager.images.recipe import Recipe, options
from forager.images.source import Source, fetch
from forager.images.workbench import Workbench, telling_lines
from forager.locks import locked
from forager.sandboxes.docker_sandbox import DockerSandbox
from forager.sandboxes.engine import connect
from forager.sandboxes.sandbox import Limits

_PYTHONS = ("3.12", "3.13", "3.11", "3.14", "3.10", "3.9", "3.8")  # the likeliest to work first
_PYTEST_TOO_NEW = r"_pytest\b|PluginValidationError|PytestRemovedIn|PytestDeprecation|pluggy\b"
_SHUFFLE = 1  # seed of the second run's order
_NOT_RUN = ("skipped", "xfailed", "xpassed", "deselected")


def build(
    source: str,
    *,
    recipe: Recipe | None = None,
    timeout: float = 1800,
    minimum_pass: float = 0.5,
    memory: int | None = None,
    force: bool = False,
    report: Callable[[str], None] = lambda _: None,
) -> Image:
    """Build the image of a source, or return the one that the same source and recipe gave before.

    `timeout` bounds the install, `minimum_pass` is the least share of passing tests, `memory`
    overrides the recipe's, `report` is told each step. Raises SourceError for a source that holds
    no tests, BuildError (with the log's telling lines) for one that does not come to pass.
    """
    client = connect()
    with tempfile.TemporaryDirectory(prefix="forager-source-") as name:
        tree = Path(name) / "testbed"
        report(f"fetching {source}")
        fetched = fetch(source, tree)
        chosen = recipe or _inferred(source, tree)
        chosen = chosen.model_copy(update={"memory": memory}) if memory else chosen
        base = ensure_base(client, chosen.python, report)
        if recipe is None:
            chosen, base = _suited(client, tree, chosen, base, report)
        builder = _Builder(client, fetched, tree, base, timeout, minimum_pass, force, report)
        try:
            return builder.build(chosen, reduce=recipe is None)
        except BuildError as error:
            if recipe is not None or not re.search(_PYTEST_TOO_NEW, error.log):
                raise
        report("the tests are older than this pytest: trying one before")
        older = [*chosen.install, "uv pip install --upgrade 'pytest<9' py"]
        return builder.build(chosen.model_copy(update={"install": older}), reduce=True)


class _Builder(NamedTuple):
    """What all attempts at one source share."""

    client: docker.DockerClient
    source: Source
    tree: Path
    base: str
    timeout: float
    minimum_pass: float
    force: bool
    report: Callable[[str], None]

    def build(self, recipe: Recipe, *, reduce: bool) -> Image:
        """Return the image of this recipe, from the records or built now."""
        started = time.monotonic()
        key = _key(self.source, recipe, _identity(self.client, self.base))
        with locked(f"image-{key}"):
            known = stored(key)
            if known and not self.force and _identity(self.client, known.digest):
                self.report(f"{known.reference} was built before")
                return _accepted(known, self.minimum_pass)
            attempt = _Build(self.client, self.source, recipe, self.base, key, self.report)
            attempt.make(self.tree, self.timeout, reduce=reduce)
            return attempt.prove(self.minimum_pass, started)


class _Build:
    """One build: `make` gives the candidate image, `prove` its record."""

    def __init__(
        self,
        client: docker.DockerClient,
        source: Source,
        recipe: Recipe,
        base: str,
        key: str,
        report: Callable[[str], None],
    ) -> None:
        self._client = client
        self._source = source
        self._recipe = recipe
        self._base = base
        self._key = key
        self._report = report

    def make(self, tree: Path, timeout: float, *, reduce: bool) -> None:
        """Install the project and commit the candidate, still without a name."""
        memory = max(self._recipe.memory, 2 << 30)  # compilers need more than tests
        with Workbench(self._client, self._base, memory=memory, timeout=timeout) as bench:
            self._installed: Installed = install(
                bench, tree, self._source, self._recipe, reduce=reduce, report=self._report
            )
            self._digest = bench.commit(
                [
                    *CHANGES,
                    f"LABEL forager.image={self._key}",
                    f"LABEL forager.source={json.dumps(self._source.given)}",
                    # so that plain pytest works for whoever tries it in there
                    f"ENV PYTEST_ADDOPTS={_quoted(shlex.join(options(self._recipe.tests)))}",
                ]
            )
        self._recipe = self._installed.recipe

    def prove(self, minimum_pass: float, started: float) -> Image:
        """Run the tests twice; name and record the image, or remove it and raise BuildError."""
        try:
            first = self._run_tests(None)
            if not first.complete:
                raise BuildError(
                    f"{self._source.given}: the test run did not come to its end "
                    f"({first.seconds:.0f} s of {self._recipe.timeout:.0f})",
                    telling_lines(first.log),
                )
            _accepted(self._record(first, first, started), minimum_pass, first.log)
            image = self._record(first, self._run_tests(_SHUFFLE), started)
            _accepted(image, minimum_pass, first.log)
        except BaseException:
            self._remove(self._digest)
            raise
        self._name(image.reference)
        store(image)
        return image

    def _name(self, reference: str) -> None:
        """Give the candidate its name; an image that had it before goes."""
        before = _identity(self._client, reference)
        repository, tag = reference.rsplit(":", 1)
        self._client.api.tag(self._digest, repository, tag)
        if before not in ("", self._digest):
            self._remove(before)

    def _run_tests(self, shuffle: int | None) -> TestReport:
        order = "in another order" if shuffle is not None else "for the first time"
        self._report(f"running the tests {order}")
        limits = Limits(memory=self._recipe.memory)
        sandbox = DockerSandbox(self._digest, limits=limits)
        try:
            return run_tests(sandbox, self._setup(), shuffle=shuffle, timeout=self._recipe.timeout)
        finally:
            sandbox.close()

    def _setup(self) -> TestSetup:
        return TestSetup(
            arguments=self._recipe.tests,
            variables=self._recipe.variables,
            protected=self._recipe.protected,
            timeout=self._recipe.timeout,
            memory=self._recipe.memory,
        )

    def _record(self, first: TestReport, second: TestReport, started: float) -> Image:
        passing, flaky, failing, skipped = _compare(first.outcomes, second.outcomes)
        size = int(self._client.images.get(self._digest).attrs["Size"])
        below = int(self._client.images.get(self._base).attrs["Size"])
        return Image(
            reference=_reference(self._source, self._key),
            digest=self._digest,
            key=self._key,
            base=self._base,
            commit=self._installed.commit,
            source=self._source,
            recipe=self._recipe,
            setup=self._setup(),
            passing=passing,
            flaky=flaky,
            failing=failing,
            skipped=skipped,
            dropped=self._installed.dropped,
            notes=self._installed.notes,
            test_seconds=round(first.seconds, 2),
            build_seconds=round(time.monotonic() - started, 1),
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
            python_version=self._installed.python_version,
            package_count=self._installed.package_count,
            size=size,
            layer_size=size - below,
        )

    def _remove(self, digest: str) -> None:
        try:
            self._client.images.remove(digest)
        except DockerException as error:  # a container of someone else's may use it
            self._report(f"an unused image stays: {error}")


def _compare(
    first: dict[str, str], second: dict[str, str]
) -> tuple[list[str], list[str], list[str], int]:
    """Sort the tests into passing, flaky and failing; count the skipped.

    A test that ran once only, or passed once only, is flaky. Failing in two ways is failing.
    """
    passing, flaky, failing, skipped = [], [], [], 0
    for test in sorted({*first, *second}):
        outcomes = {first.get(test, "missing"), second.get(test, "missing")}
        if outcomes == {"passed"}:
            passing.append(test)
        elif outcomes <= set(_NOT_RUN):
            skipped += 1
        elif outcomes <= {"failed", "error"}:
            failing.append(test)
        else:
            flaky.append(test)
    return passing, flaky, failing, skipped


def _accepted(image: Image, minimum_pass: float, log: str = "") -> Image:
    """Return the image when enough of its tests pass; BuildError otherwise."""
    if image.passing and image.share >= minimum_pass:
        return image
    run = len(image.passing) + len(image.failing) + len(image.flaky)
    raise BuildError(
        f"{image.source.given}: only {len(image.passing)} of {run} tests pass "
        f"(needed: {minimum_pass:.0%}); correct the recipe and give it with --recipe",
        telling_lines(log),
    )


def _inferred(source: str, tree: Path) -> Recipe:
    try:
        return infer(tree)
    except SourceError as error:
        raise SourceError(f"{source}: {error}") from None


def _suited(
    client: docker.DockerClient,
    tree: Path,
    recipe: Recipe,
    base: str,
    report: Callable[[str], None],
) -> tuple[Recipe, str]:
    """Choose another Python when the project does not want the base's, if one can be had."""
    wanted = required_python(tree)
    version = client.images.get(base).labels.get(PYTHON_LABEL, "")
    try:
        if not wanted or SpecifierSet(wanted).contains(version):
            return recipe, base
        fitting = [minor for minor in _PYTHONS if SpecifierSet(wanted).contains(f"{minor}.9")]
        python = fitting[0]
        return recipe.model_copy(update={"python": python}), ensure_base(client, python, report)
    except (InvalidSpecifier, IndexError, BuildError):
        report(f"the project wants Python {wanted}; trying the base's {version}")
        return recipe, base


def _quoted(text: str) -> str:
    """A value for the engine's ENV instruction, which expands variables."""
    return json.dumps(text).replace("$", "\\$")


def _key(source: Source, recipe: Recipe, base: str) -> str:
    text = "\0".join((source.name, source.digest, recipe.model_dump_json(), base))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _reference(source: Source, key: str) -> str:
    """Return a Docker name: 'forager/owner/name:1.2.3-<key>'."""
    name = "/".join(part.strip("._-") or "project" for part in source.name.lower().split("/"))
    for double in ("..", "__", "--"):
        while double in name:
            name = name.replace(double, double[0])
    version = "".join(c if c.isalnum() or c in "._-" else "-" for c in source.version or "head")
    return f"forager/{name}:{version}-{key[:12]}"


def _identity(client: docker.DockerClient, reference: str) -> str:
    """Return the id of an image; empty when there is none."""
    try:
        return str(client.images.get(reference).id)
    except ImageNotFound:
        return ""
