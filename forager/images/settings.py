"""Settings of the building of an image."""

from typing import Literal

from pydantic import Field, FiniteFloat

from forager.records import Record


class BuildSettings(Record):
    """Bounds of a build, and whether to build again."""

    timeout: FiniteFloat = Field(
        1800, gt=0, description="Seconds that one source may take, with all repairs of its recipe."
    )
    memory: FiniteFloat | None = Field(
        None,
        gt=0,
        description="Memory for the build and the tests, in GiB; by default the recipe decides.",
    )
    minimum_pass: FiniteFloat = Field(
        0.5, ge=0, le=1, description="Minimum share of tests that must pass."
    )
    force: bool = Field(False, description="Build again what was built before.")
    executor: Literal["local", "ray"] = Field(
        "local", description="Where to build: on this machine, or on the nodes of a Ray cluster."
    )
    address: str = Field(
        "", description="Address of the Ray cluster; the cluster on this machine by default."
    )
    images: str = Field(
        "",
        description="Registry, or directory of archives (`docker save`), that gets each image, so "
        "that other machines can fetch it.",
    )

    @property
    def memory_bytes(self) -> int | None:
        """The memory in bytes; None if the recipe decides."""
        return round(self.memory * 2**30) if self.memory else None
