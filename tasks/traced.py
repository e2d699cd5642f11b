"""Questions about traced functions: rows of `forager export TRACES --format input-output`.

Anybody can make a fresh, private CruxEval of a project's own code. The truth was observed: the same
call returned the same value twice.
"""

import re
from typing import Any

from forager.environments.answer.prediction import OUTPUT, PredictionTask, literal
from forager.environments.task import Labels
from tasks.fields import text
from tasks.rows import Row, UnusableRow

_LONGEST = 24_000  # characters of the code that is shown
_CUT = re.compile(r"<\+\d+>")  # how a recorder marks what it left out
_STATEMENT = """\
Read this code of a Python project.

{code}

What does this call of `{name}` in {file} return? Each argument is written as Python shows it.

{call}

Think step by step. End with the value, a literal of Python without function calls, between \
[ANSWER] and [/ANSWER].
"""


def traced_output(row: Row) -> PredictionTask:
    """What did the call return? Raises UnusableRow."""
    call, output, name = text(row, "input"), text(row, "output"), text(row, "name")
    if text(row, "kind") != "function" or text(row, "outcome") != "returned":
        raise UnusableRow("it is not a call that returned")
    if _CUT.search(f"{call}{output}"):
        raise UnusableRow("the recorder left out a part of a value")
    value = literal(output)
    if value is None or value == (None,):
        raise UnusableRow("the call returns nothing that a literal can say")
    files = _files(row.get("files"))
    repository = text(row, "source", required=False)
    return PredictionTask(
        instance_id=text(row, "id"),
        environment=OUTPUT,
        kind=OUTPUT,
        repo=repository,
        source=repository,
        licence=text(row, "licence", required=False),
        problem_statement=_STATEMENT.format(
            code="\n\n".join(f"```python\n# {path}\n{code}\n```" for path, code in files.items()),
            name=name,
            file=next(iter(files)),
            call=call,
        ),
        labels=Labels(
            family=OUTPUT,
            repository=repository,
            functions=[f"{repository}:{next(iter(files))}:{name}"],
        ),
        code="\n\n".join(files.values()),
        function=name.rpartition(".")[2],
        input=call.partition("(")[2].removesuffix(")"),
        output=output,
    )


def _files(given: Any) -> dict[str, str]:
    """The sources by their paths; the first holds the function. Raises UnusableRow."""
    if not isinstance(given, dict) or not given:
        raise UnusableRow("files is not a table of sources")
    files = {str(path): code for path, code in given.items() if isinstance(code, str)}
    if len(files) < len(given) or sum(map(len, files.values())) > _LONGEST:
        raise UnusableRow(f"the code has more than {_LONGEST:,} characters")
    return files
