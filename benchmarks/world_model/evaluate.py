"""Asks models for the outputs of functions that they never saw, and compares the two kinds.

usage: evaluate.py OUT SEEDS    (models in OUT/code-SEED and OUT/traces-SEED, tests in OUT/test)

Each model is asked for the output at once. A model that has read traces is also asked for the
trace, whose returned value is its answer. An answer counts if its text is the output. Intervals are
clustered by function; of the seeds the mean of each call counts.
"""

import json
import sys
from pathlib import Path
from statistics import fmean
from typing import Any

from forager.evaluation.estimates import Estimate, difference, estimate
from forager.tracing.export import question_of, traces_of
from forager.tracing.source import entered_files

BATCH = 32
NEW_TOKENS = {"output": 24, "trace": 480}


def questions(directory: Path) -> dict[str, dict[str, str]]:
    """Prompts of both kinds and the output of each call, by id."""
    found = {}
    for trace, sources in traces_of([directory]):
        code = "".join(f"# {path}\n{text}" for path, text in entered_files(trace, sources).items())
        asked = question_of(trace, sources)
        found[trace.id] = {
            "output": f"{code}# input\n\n# output\n",
            "trace": f"{code}> <module>()\n",
            "answer": str(asked["output"]).strip(),
        }
    return found


def answers(model: Path, prompts: list[str], new_tokens: int) -> list[str]:
    """What a model writes after each prompt, most likely token by most likely token."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer: Any = AutoTokenizer.from_pretrained(str(model), padding_side="left")
    loaded: Any = AutoModelForCausalLM.from_pretrained(str(model)).to(device).eval()
    found = []
    for start in range(0, len(prompts), BATCH):
        batch = tokenizer(
            prompts[start : start + BATCH],
            return_tensors="pt", padding=True, add_special_tokens=False,
            return_token_type_ids=False,
        ).to(device)  # fmt: skip
        with torch.inference_mode():
            ids = loaded.generate(**batch, max_new_tokens=new_tokens, do_sample=False)
        texts = ids[:, batch["input_ids"].shape[1] :]
        found += tokenizer.batch_decode(texts, skip_special_tokens=True)
    return found


def answer_in(text: str, kind: str) -> str:
    """The output that a model means: the first line, or what its trace's call of `f` returns."""
    if kind == "output":
        return text.partition("\n")[0].strip()
    lines = text.split("\n")
    start = next((n for n, line in enumerate(lines) if line.startswith("> f(")), len(lines))
    return next((line[2:].strip() for line in lines[start:] if line.startswith("< ")), "")


def score(model: Path, asked: dict[str, dict[str, str]], kind: str) -> dict[str, float]:
    """1 for each call whose output a model gives, else 0."""
    prompts = [question[kind] for question in asked.values()]
    texts = answers(model, prompts, NEW_TOKENS[kind])
    return {
        id: float(answer_in(text, kind) == question["answer"])
        for (id, question), text in zip(asked.items(), texts, strict=True)
    }


def main(out: Path, seeds: int) -> None:
    """Print a table, and write OUT/results.json."""
    asked = questions(out / "test")
    clusters = {id: id.partition("-")[0] for id in asked}
    kinds = {"code": ("code", "output"), "traces": ("traces", "output"),
             "traces, by a trace": ("traces", "trace")}  # fmt: skip
    values = {}
    for name, (model, kind) in kinds.items():
        runs = [score(out / f"{model}-{seed}" / "model", asked, kind) for seed in range(seeds)]
        values[name] = {id: fmean(run[id] for run in runs) for id in asked}
        _print(name, estimate(values[name], clusters))
    found: dict[str, Any] = {"values": values}
    for name in ("traces", "traces, by a trace"):
        gain = difference(values[name], values["code"], clusters)
        _print(f"{name} - code", gain)
        found[f"{name} - code"] = gain.model_dump()
    (out / "results.json").write_text(json.dumps(found))


def _print(name: str, found: Estimate) -> None:
    interval = f"[{found.low:+.1%}, {found.high:+.1%}]"
    print(f"{name:<28}{found.mean:+7.1%}  {interval}  {found.tasks} calls")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
