"""The directory of a bootstrap.

OUT/settings.json                the resolved settings
OUT/split.json                   which tasks are held out
OUT/stages.jsonl                 each stage that came to its end, with its seconds
OUT/base/evaluation/             a run: the base model at the held-out tasks
OUT/base/evaluated.json          what came of it
OUT/round-N/attempts/            a run: the current model (the teacher, in round 0)
OUT/round-N/taught/              a run: the teacher at what those did not resolve
OUT/round-N/kept/                what the filters left of the runs that are learnt from
OUT/round-N/dataset/             token ids and masks
OUT/round-N/training/            the training; `model/` in it is the candidate
OUT/round-N/evaluation/          a run: the candidate at the held-out tasks
OUT/round-N/manifest.json        the lineage, written last: with it the round is over
OUT/report.md, report.json       the rounds side by side
OUT/logs/                        of the servers
"""

from forager.rollout.settings import MAY_CHANGE as _OF_RUNS

_ANYWHERE = [name for name in _OF_RUNS if name not in ("attempts", "stop_after")]
MAY_CHANGE = (
    *("output", "rounds", "serve", "urls"),
    *("filters", "dataset", "train"),
    *(f"{part}.{name}" for part in ("rollout", "teach", "evaluate") for name in _ANYWHERE),
)
"""Settings with which one may go on when they are others.

The first decide nothing of what a round is. With `filters`, `dataset` and `train` the rounds to
come are made otherwise: each manifest has its own, and what a round has begun with others stays
(its `kept`, `dataset` or `training` is to be deleted first).
"""
