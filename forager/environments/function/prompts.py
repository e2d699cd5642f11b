"""How programming problems are asked. The Python prompt is that of CWM's release (`lcb.py`)."""

from forager.environments.function.running import Language
from forager.environments.function.task import CodingTask

_NAMES: dict[Language, str] = {"python": "Python", "cpp": "C++"}
_ASKED = """\
Provide a {name} solution for the following competitive programming question: {statement}.
Your code should be enclosed in triple backticks like so: ```{language} YOUR CODE HERE ```. \
Use the backticks for your code only."""
_LEFT = """\
Write a {name} solution for the following competitive programming question to the file {file}, try \
it out, and call submit:

{statement}"""
_SIGNATURE = " Use the provided function signature:\n```{language}\n{code}\n```"
_STREAMS = " Your code should read from and write to standard io."
SYSTEM = """\
You are a competitive programmer at work in a container without a network. The tools are your only \
way to act; nobody answers questions. Your program is judged by hidden tests.

{instructions}"""


def asked(task: CodingTask) -> str:
    """The prompt of a task."""
    fields = {"name": _NAMES[task.language], "language": task.language, "file": task.file}
    prompt = (_LEFT if task.file else _ASKED).format(statement=task.problem_statement, **fields)
    if task.starter_code:
        return prompt + _SIGNATURE.format(language=task.language, code=task.starter_code)
    return prompt if task.tests or task.function else prompt + _STREAMS
