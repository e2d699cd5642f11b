"""`python`: runs a program, for tasks whose answer is a text, such as mathematics.

Each call is a fresh interpreter; files and packages of the sandbox are there. Only tasks that name
the tool have it.
"""

from secrets import token_hex

from forager.agent.tool import Observation, one_argument
from forager.sandboxes.sandbox import Sandbox
from tools.bash import OUTPUT_LIMIT, observed

SECONDS, CALLS = 10.0, 20


def python(sandbox: Sandbox, arguments: dict[str, str], seconds: float) -> Observation:
    """Run the program for at most `seconds`; answers with what it prints."""
    path = f"/tmp/program-{token_hex(4)}.py"  # nosec B108  # in the sandbox
    sandbox.write(path, arguments["code"].encode("utf-8", "replace"))
    result = sandbox.run(f"python3 {path}", timeout=seconds, output_limit=OUTPUT_LIMIT)
    notes = [f"[stopped after {seconds:g} seconds]"] if result.timed_out else []
    if not result.timed_out and result.exit_code:
        notes = [f"[exit code {result.exit_code}]"]
    if not result.output and not notes:
        notes = ["[nothing was printed]"]
    return observed(result, notes)


PYTHON = one_argument(
    "python",
    f"Run a Python program and read what it prints. Each call starts anew and may take "
    f"{SECONDS:g} seconds; {CALLS} calls are allowed.",
    {"code": "The program."},
    python,
    seconds=SECONDS,
    calls=CALLS,
    on_request=True,
)
