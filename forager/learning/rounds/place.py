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

MAY_CHANGE = ("output", "rounds", "serve", "urls")
"""Settings that decide nothing of what a round is: one may go on with others."""
