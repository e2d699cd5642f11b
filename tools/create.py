"""`create`: a new file."""

from forager.agent.tool import Observation, Tool
from forager.errors import FormatError
from forager.sandboxes.sandbox import Sandbox
from forager.trajectories.record import FileChange
from tools.files import checked_path, count_lines, failure, join_lines, refused, split_lines


def create(sandbox: Sandbox, arguments: dict[str, str], seconds: float) -> Observation:
    """Write a new file into a directory that exists."""
    del seconds
    path, content = checked_path(arguments["path"]), arguments["content"]
    try:
        sandbox.read(path)
    except FileNotFoundError:
        pass
    except OSError as error:  # a directory, or a path that cannot be read
        return failure(path, error)
    else:
        return refused(f"{path} exists already. Use edit to change it.", "file_exists")
    try:
        sandbox.write(path, content.encode())
    except FileNotFoundError:
        return refused(
            f"The directory of {path} does not exist. Create it first, with bash.",
            "no_such_directory",
        )
    except OSError as error:
        return failure(path, error)
    lines = split_lines(content)
    change = FileChange(path=path, first=1, added=lines, lines=len(lines), created=True)
    return Observation(f"Created {path}: {count_lines(len(lines))}.", change=change)


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
        "Create a file. It must not exist yet; its directory must. Answers with the number of "
        "lines written."
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
