"""`create`: a new file, or the content of an empty one."""

from forager.agent.tool import Observation, Tool
from forager.errors import FormatError
from forager.sandboxes.sandbox import Sandbox
from forager.trajectories.record import FileChange
from tools.files import checked_path, count_lines, failure, hint, join_lines, refused, split_lines


def create(sandbox: Sandbox, arguments: dict[str, str], seconds: float) -> Observation:
    """Write a file that does not exist or is empty, into a directory that exists."""
    del seconds
    path, content = checked_path(arguments["path"]), arguments["content"]
    if path[0] in "\"'`" and path[-1] == path[0]:
        return refused(f"The name would be {path}.{hint(path)}", "quoted_path")
    is_new = False
    try:
        if sandbox.read(path) or not content:
            text = f"{path} exists already. Use edit to change it, or remove it first, with bash."
            return refused(text, "file_exists")
    except FileNotFoundError:
        is_new = True
    except OSError as error:  # a directory, or a path that cannot be read
        return failure(path, error)
    try:
        sandbox.write(path, content.encode())
    except FileNotFoundError:
        way = hint(path) or " Create it first, with bash."
        return refused(f"The directory of {path} does not exist.{way}", "no_such_directory")
    except OSError as error:
        return failure(path, error)
    lines = split_lines(content)
    change = FileChange(path=path, first=1, added=lines, lines=len(lines), created=is_new)
    done = "Created" if is_new else "Filled"
    return Observation(f"{done} {path}: {count_lines(len(lines))}.", change=change)


def read_body(body: str) -> dict[str, str]:
    """A line with the path; the lines after it are the content, each ended by a newline."""
    path, *lines = body.split("\n")
    if not path.strip():
        raise FormatError(
            "The first line of the body must be the path of the file to create.", "malformed_body"
        )
    return {"path": path.strip(), "content": join_lines(lines)}


def write_body(arguments: dict[str, str]) -> str:
    """The body of these arguments. Text cannot say that the last newline is missing."""
    return "\n".join([arguments["path"], *split_lines(arguments["content"])])


CREATE = Tool(
    name="create",
    description=(
        "Create a file. It must not exist yet, or be empty; its directory must exist. Answers with "
        "the number of lines written."
    ),
    parameters={
        "path": "Path of the new file, absolute or from the shell's directory.",
        "content": "The whole content of the file.",
    },
    execute=create,
    read_body=read_body,
    write_body=write_body,
    text_usage="PATH\nCONTENT, all lines after the first",
)
