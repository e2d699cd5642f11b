"""The directory of a bootstrap.

OUT/settings.json                the resolved settings
OUT/split.json                   the held-out tasks
OUT/stages.jsonl                 every finished stage with its seconds
OUT/base/evaluation/             run: the base model on the held-out tasks
OUT/base/evaluated.json          its result
OUT/round-N/attempts/            run: the current model, or the teacher in round 0
OUT/round-N/taught/              run: the teacher on the tasks that the model failed
OUT/round-N/kept/                the attempts that pass the filters
OUT/round-N/dataset/             token ids and loss masks
OUT/round-N/training/            the training; its `model/` is the candidate
OUT/round-N/evaluation/          run: the candidate on the held-out tasks
OUT/round-N/manifest.json        inputs and outputs by digest; written last, when the round is over
OUT/report.md, report.json       the rounds in comparison
OUT/logs/                        logs of the servers
"""

from forager.rollout.settings import MAY_CHANGE as _OF_RUNS

_NOT_OF_ROUNDS = ("attempts", "stop_after")  # these two decide what a round is
_ANYWHERE = [name for name in _OF_RUNS if name not in _NOT_OF_ROUNDS]
MAY_CHANGE = (
    *("output", "rounds", "serve", "urls"),
    *("filters", "dataset", "train"),
    *(f"{part}.{name}" for part in ("rollout", "teach", "evaluate") for name in _ANYWHERE),
)
"""Settings that may differ when a bootstrap continues.

The first four do not change what a round is. Changes to `filters`, `dataset` and `train` apply to
later rounds, and each manifest records its own. A stage that a round has begun keeps its settings:
delete its `kept`, `dataset` or `training` to run it with new ones.
"""
