"""Drives the screens of `forager replay` on the recorded run; compares their text with files."""

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from textual.app import App
from textual.pilot import Pilot

from forager.replay.app import ReplayApp

DATA = Path(__file__).parent / "data" / "replay"
SIZES = [(80, 24), (120, 40)]
IDS = {
    "resolved": "pypi__anytree.variables.302fe28681.1",
    "not resolved": "pypi__anytree.functions.b589461ca3.0",
}
Play = Callable[["Pilot[None]"], Awaitable[None]]


def recorded(directory: Path) -> Path:
    """Copy the recorded run, so that a test may write to it."""
    return shutil.copytree(DATA / "run", directory / "run")


def played(
    path: Path,
    play: Play,
    *,
    id: str = "",
    size: tuple[int, int] = (80, 24),
    watch: bool = False,
    full: bool = False,
) -> str:
    """Return the screen's text after `play`."""
    return resized(path, play, id=id, sizes=[size], watch=watch, full=full)[0]


def resized(
    path: Path,
    play: Play,
    *,
    sizes: Sequence[tuple[int, int]],
    id: str = "",
    watch: bool = False,
    full: bool = False,
) -> list[str]:
    """Return the screen's text after `play` in a terminal of the first size, then of the others."""

    async def run() -> list[str]:
        app = ReplayApp(path, id, watch=watch, full=full)
        async with app.run_test(size=sizes[0], notifications=True) as pilot:
            await pilot.pause()
            await play(pilot)
            await settle(pilot)
            texts = [text(app)]
            for size in sizes[1:]:
                await pilot.resize_terminal(*size)
                await settle(pilot)
                texts.append(text(app))
            return texts

    return asyncio.run(run())


def keys(*names: str) -> Play:
    """Return a play that presses keys and types longer texts."""

    async def play(pilot: "Pilot[None]") -> None:
        for name in names:
            if name.startswith("type:"):
                await pilot.press(*("space" if key == " " else key for key in name[5:]))
            else:
                await pilot.press(name)
            await settle(pilot)

    return play


async def settle(pilot: "Pilot[None]") -> None:
    """Wait until the app has nothing left to do."""
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()


def text(app: App[None]) -> str:
    """Return the screen's text without its colours."""
    strips = app.screen._compositor.render_strips()
    return "\n".join(strip.text.rstrip() for strip in strips).rstrip() + "\n"


def check(name: str, size: tuple[int, int], found: str) -> None:
    """Compare a screen with the stored one; REPLAY_SNAPSHOTS=write stores it anew."""
    path = DATA / "screens" / f"{name}-{size[0]}x{size[1]}.txt"
    if os.environ.get("REPLAY_SNAPSHOTS") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(found)
    assert found == path.read_text(), f"the screen is not that of {path}"
