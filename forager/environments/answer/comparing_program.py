"""Compares mathematical expressions, each pair in a child that can be killed.

usage: python -P -m forager.environments.answer.comparing_program

Each line of standard input is a JSON list: answer, truth, and the seconds that a comparison may
take. Each line of output is one word: equal, different, unreadable, time or crash. The program
imports `math_verify` once and then forks. It ends with its input, or with its parent.
"""

import contextlib
import ctypes
import json
import logging
import os
import resource
import select
import signal
import sys
import warnings

_PARENT_DEATH = 1  # PR_SET_PDEATHSIG, <linux/prctl.h>
_MEMORY = 2 << 30  # bytes of a comparison
_WORDS = {0: "equal", 1: "different", 2: "unreadable"}


def compare(answer: str, truth: str) -> int:
    """0 if the expressions are equal, 1 if not, 2 if the answer is not an expression.

    Only LaTeX is read: `math_verify`'s reader of plain expressions calls `eval`.
    """
    from math_verify import LatexExtractionConfig, parse, verify

    config = [LatexExtractionConfig(boxed_match_priority=0)]
    gold, given = (
        parse(f"\\boxed{{{text}}}", config, parsing_timeout=None) for text in (truth, answer)
    )
    if not given:
        return 2
    return 0 if verify(gold, given, timeout_seconds=None) else 1


def _be_child(answer: str, truth: str, seconds: float) -> None:
    code = 3
    try:
        os.setsid()
        ctypes.CDLL(None).prctl(_PARENT_DEATH, signal.SIGKILL, 0, 0, 0)
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in range(3):
            os.dup2(null, descriptor)
        cpu = int(seconds) + 1
        limits = ((resource.RLIMIT_AS, _MEMORY), (resource.RLIMIT_CPU, cpu))
        for name, most in (*limits, (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0)):
            resource.setrlimit(name, (most, most))
        code = compare(answer, truth)
    finally:
        os._exit(code)


def in_child(answer: str, truth: str, seconds: float) -> str:
    """Compare in a child, which is killed after so many seconds."""
    child = os.fork()
    if not child:
        _be_child(answer, truth, seconds)
    end = os.pidfd_open(child)
    is_late = not select.select([end], [], [], seconds)[0]
    os.close(end)
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(OSError):
            kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if is_late or (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU):
        return "time"
    return _WORDS.get(os.WEXITSTATUS(status), "crash") if os.WIFEXITED(status) else "crash"


def main() -> None:
    """Answer until the input ends."""
    ctypes.CDLL(None).prctl(_PARENT_DEATH, signal.SIGKILL, 0, 0, 0)
    logging.disable()
    warnings.simplefilter("ignore")
    compare("1", "2")  # imports all that comparisons need
    print("ready", flush=True)
    for line in sys.stdin:
        answer, truth, seconds = json.loads(line)
        print(in_child(answer, truth, seconds), flush=True)


if __name__ == "__main__":
    main()
