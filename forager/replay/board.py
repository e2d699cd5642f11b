"""A batch as text: for the screen of `forager watch`, and for a pipe."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from rich.text import Text

from forager.replay.batch import BatchStatus, FamilyProgress, ImageLosses, seconds_left, slow
from forager.trajectories import draw
from forager.trajectories.draw import short
from forager.trajectories.live import EndpointState, UnderWay

_BARS = " ▁▂▃▄▅▆▇█"


def headline(batch: BatchStatus) -> Text:
    """The progress of the batch in a line."""
    share = f" ({batch.resolved / batch.done:.0%})".replace("%", " %") if batch.done else ""
    parts = [f"{batch.done:,} of {batch.total:,} attempts", f"{batch.resolved:,} resolved{share}"]
    parts += [f"{batch.lost:,} lost"] if batch.lost else []
    left = seconds_left(batch)
    parts += [f"{_duration(left)} left"] if left is not None else []
    parts += [f"{short(batch.tokens)} tokens"] if batch.tokens else []
    parts += [] if batch.running else ["no batch is running"]
    return Text(" · ".join(parts))


def throughput(batch: BatchStatus) -> Text:
    """Attempts that ended, over time."""
    if not any(batch.ended):
        return Text("throughput  nothing has ended yet", "dim")
    span = _duration(batch.bucket_seconds * len(batch.ended))
    begun = datetime.fromtimestamp(batch.since).strftime("%H:%M")
    most = max(batch.ended)
    pace = f" {batch.per_minute:.1f} a minute lately"
    if not batch.running:
        pace = f" {sum(batch.ended) * 60 / (batch.bucket_seconds * len(batch.ended)):.1f} a minute"
    return Text.assemble(
        ("throughput ", "bold"),
        (_bars([count / most for count in batch.ended]), "cyan"),
        pace,
        (f" · {span} from {begun}", "dim"),
    )


def families(batch: BatchStatus) -> Text:
    """Each family, with its resolved share over time."""
    width = max((len(family.name) for family in batch.families), default=0)
    lines = [_family(family, width) for family in batch.families]
    return Text("\n").join(lines or [Text("no attempt has ended yet", "dim")])


def worker(attempt: UnderWay, width: int) -> Text:
    """What a worker is doing."""
    what = {"model": "asks the model", "tool": "runs a call", "grading": "is graded"}
    doing = what.get(attempt.doing, attempt.doing)
    text = Text.assemble(
        (f"{_seconds(attempt.seconds):>6} ", "dim"),
        f"turn {attempt.turn:<3} ",
        (
            f"{doing} {_seconds(attempt.doing_seconds)}".ljust(21),
            "yellow" if attempt.doing == "tool" else "",
        ),
        draw.safe(attempt.id),
    )
    if attempt.call:
        text.append(f"  {' '.join(draw.safe(attempt.call).split())}", "dim")
    text.truncate(width, overflow="ellipsis")
    return text


def endpoints(batch: BatchStatus) -> Iterator[Text]:
    """Each endpoint; slow and resting ones stand out."""
    late = slow(batch)
    for endpoint in batch.endpoints:
        style = "red" if endpoint.rests_for or endpoint.url in late else ""
        yield Text(f"{draw.safe(endpoint.url)}  {_answers(endpoint)}", style)


def images(batch: BatchStatus) -> Iterator[Text]:
    """Each image with lost attempts."""
    for image in batch.images:
        yield _image(image)


def whole(batch: BatchStatus, width: int) -> Text:
    """All of it, for a pipe."""
    parts = [Text(draw.safe(batch.run), "bold"), headline(batch), throughput(batch), Text()]
    parts += [families(batch)]
    sections = [
        ("workers", [worker(attempt, width) for attempt in batch.workers]),
        ("endpoints", list(endpoints(batch))),
        ("images with lost attempts", list(images(batch))),
    ]
    for title, lines in sections:
        if lines:
            parts += [Text(), Text(title, "bold"), *lines]
    return Text("\n").join(parts)


def _family(family: FamilyProgress, width: int) -> Text:
    share = f"{family.resolved / family.attempts:.0%}".replace("%", " %") if family.attempts else ""
    return Text.assemble(
        f"{draw.safe(family.name):<{width}} ",
        (_bars(family.shares), "green"),
        f" {family.resolved:,} of {family.attempts:,} resolved, {share}",
    )


def _answers(endpoint: EndpointState) -> str:
    mean = (
        f"{endpoint.seconds / endpoint.answered:.1f} s each"
        if endpoint.answered
        else "no answer yet"
    )
    parts = [f"{endpoint.under_way} under way", f"{endpoint.answered:,} answered", mean]
    parts += [f"{endpoint.failed:,} failed"] if endpoint.failed else []
    parts += [f"rests for {endpoint.rests_for:.0f} s"] if endpoint.rests_for else []
    return " · ".join(parts)


def _image(image: ImageLosses) -> Text:
    error = " ".join(draw.safe(image.error).split())
    return Text.assemble(
        (draw.safe(image.image), "red"), f"  {image.lost:,} lost, the last: {error}"
    )


def _bars(shares: Sequence[float | None]) -> str:
    """A bar for each share; a dot for 0, a space for None."""
    return "".join(
        " " if share is None else "·" if share == 0 else _BARS[max(1, round(share * 8))]
        for share in shares
    )


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 90 else f"{minutes} min"


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 60:.0f} min"
