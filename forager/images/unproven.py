"""An image whose tests are still to be proven: they pass twice, in two orders, and slowed down."""

import math
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import docker
from docker.errors import DockerException, ImageNotFound

from forager.environments.repository.task import TestSetup
from forager.environments.repository.testing import TestReport, run_tests
from forager.images.builder import failed
from forager.images.image import Image, store
from forager.images.install import Installed
from forager.images.source import Source
from forager.sandboxes.docker_sandbox import docker_sandbox
from forager.sandboxes.sandbox import Limits

_SHUFFLE = 1  # seed of the second run's order
_FEW_CORES = 0.2
_DESCRIBED = 400  # failures of the first run, for the builders
_LONGEST_ID = 4000  # characters at which the runner cuts the id of a test
_NOT_RUN = ("skipped", "xfailed", "xpassed", "deselected")


class UnprovenImage(NamedTuple):
    """A Docker image without a name, in which a project is installed."""

    client: docker.DockerClient
    source: Source
    base: str
    key: str
    installed: Installed
    digest: str
    report: Callable[[str], None]

    def run_first(self, seconds: float = math.inf) -> TestReport:
        """Run the tests for the first time, with a description of what fails.

        `seconds` bounds the run in addition to the recipe.
        """
        return self._run_tests("for the first time", seconds)

    def run_again(self) -> TestReport:
        """Run the tests again, in another order."""
        return self._run_tests("in another order", shuffle=_SHUFFLE)

    def run_slowly(self, tests: Sequence[str], seconds: float) -> TestReport:
        """Run some of the tests on a fifth of a processor core."""
        return self._run_tests("that ask a clock, slowly", seconds, tests=tests, cores=_FEW_CORES)

    def prove(
        self, first: TestReport, second: TestReport, minimum_pass: float, started: float
    ) -> Image:
        """Name and record the image whose tests ran twice.

        Raises BuildError if not enough tests pass, and then removes the image.
        """
        try:
            image = self._record(first, second, started)
            accepted(image, minimum_pass, first.log)
        except BaseException:
            self.remove()
            raise
        self._name(image.reference)
        store(image)
        return image

    def remove(self) -> None:
        """Remove the image, which has no name yet."""
        self._remove(self.digest)

    def _name(self, reference: str) -> None:
        """Name the image, and remove an earlier image of this name."""
        before = identity(self.client, reference)
        repository, tag = reference.rsplit(":", 1)
        self.client.api.tag(self.digest, repository, tag)
        if before not in ("", self.digest):
            self._remove(before)

    def _run_tests(
        self,
        how: str,
        seconds: float = math.inf,
        *,
        shuffle: int | None = None,
        tests: Sequence[str] | None = None,
        cores: float = 1.0,
    ) -> TestReport:
        self.report(f"running the tests {how}")
        limits = Limits(memory=self.installed.recipe.memory, cpus=cores)
        sandbox = docker_sandbox(self.digest, limits=limits)
        try:
            timeout = min(self.installed.recipe.timeout, seconds)
            return run_tests(
                sandbox,
                self._setup(),
                tests,
                shuffle=shuffle,
                timeout=timeout,
                failures=_DESCRIBED if shuffle is None and tests is None else 0,
                plan=tests is None,
            )
        finally:
            sandbox.close()

    def _setup(self) -> TestSetup:
        return TestSetup(
            arguments=self.installed.recipe.tests,
            variables=self.installed.recipe.variables,
            services=self.installed.recipe.services,
            protected=self.installed.recipe.protected,
            timeout=self.installed.recipe.timeout,
            memory=self.installed.recipe.memory,
        )

    def _record(self, first: TestReport, second: TestReport, started: float) -> Image:
        passing, flaky, failing, skipped = _compare(first.outcomes, second.outcomes)
        size = int(self.client.images.get(self.digest).attrs["Size"])
        below = int(self.client.images.get(self.base).attrs["Size"])
        return Image(
            reference=_reference(self.source, self.key),
            digest=self.digest,
            key=self.key,
            base=self.base,
            commit=self.installed.commit,
            source=self.source,
            recipe=self.installed.recipe,
            setup=self._setup(),
            passing=passing,
            flaky=flaky,
            failing=failing,
            skipped=skipped,
            dropped=self.installed.dropped,
            notes=self.installed.notes,
            test_seconds=round(first.seconds, 2),
            build_seconds=round(time.monotonic() - started, 1),
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
            python_version=self.installed.python_version,
            package_count=self.installed.package_count,
            size=size,
            layer_size=size - below,
        )

    def _remove(self, digest: str) -> None:
        try:
            self.client.images.remove(digest)
        except DockerException as error:  # another process's container may use it
            self.report(f"an unused image stays: {error}")


def _compare(
    first: dict[str, str], second: dict[str, str]
) -> tuple[list[str], list[str], list[str], int]:
    """Sort the tests into passing, flaky and failing; count the skipped.

    A test that ran or passed in one run only is flaky. One that fails in two ways is failing. One
    whose id is cut counts as skipped: nobody can run it by its name.
    """
    passing, flaky, failing, skipped = [], [], [], 0
    for test in sorted({*first, *second}):
        outcomes = {first.get(test, "missing"), second.get(test, "missing")}
        if len(test) >= _LONGEST_ID:
            skipped += 1
        elif outcomes == {"passed"}:
            passing.append(test)
        elif outcomes <= set(_NOT_RUN):
            skipped += 1
        elif outcomes <= {"failed", "error"}:
            failing.append(test)
        else:
            flaky.append(test)
    return passing, flaky, failing, skipped


def accepted(image: Image, minimum_pass: float, log: str = "") -> Image:
    """Return the image if enough of its tests pass. Raises BuildError otherwise."""
    if image.passing and image.share >= minimum_pass:
        return image
    run = len(image.passing) + len(image.failing) + len(image.flaky)
    raise failed(
        "test",
        f"{image.source.given}: only {len(image.passing)} of {run} tests pass "
        f"(needed: {minimum_pass:.0%}); correct the recipe and give it with --recipe",
        log,
    )


def _reference(source: Source, key: str) -> str:
    """Return a Docker name: 'forager/owner/name:1.2.3-<key>'."""
    name = "/".join(part.strip("._-") or "project" for part in source.name.lower().split("/"))
    for double in ("..", "__", "--"):
        while double in name:
            name = name.replace(double, double[0])
    version = "".join(c if c.isalnum() or c in "._-" else "-" for c in source.version or "head")
    return f"forager/{name}:{version}-{key[:12]}"


def identity(client: docker.DockerClient, reference: str) -> str:
    """Return the id of an image; empty if there is none."""
    try:
        return str(client.images.get(reference).id)
    except ImageNotFound:
        return ""
