"""Pages of the site that are not files of docs/: README and its neighbours, and the reference.

MkDocs calls the functions `on_…` (`hooks` in mkdocs.yml). The reference of the verbs is read from
the click commands, and that of the Python interfaces from docstrings, so neither can differ from
the code.
"""

import re
from collections.abc import Callable, Iterator
from inspect import cleandoc
from pathlib import Path

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from forager.cli.main import main
from forager.cli.verb import OPTIONS, Option

ROOT = Path(__file__).parent.parent

NEIGHBOURS = {  # file at the root of the repository → file of the site
    "README.md": "index.md",
    "ARCHITECTURE.md": "architecture.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "LICENSE": "license.txt",
    "CITATION.cff": "citation.txt",
}

INTERFACES = {  # page → its title, its first sentence, the modules that it shows
    "environments": (
        "Environments",
        "How a task is asked, opened, answered and graded.",
        ("forager.environments.environment", "forager.environments.task"),
    ),
    "tools": ("Tools", "What an agent can do.", ("forager.agent.tool",)),
    "models": ("Models", "What decides the next step of an attempt.", ("forager.agent.model",)),
    "sandboxes": ("Sandboxes", "Where commands run.", ("forager.sandboxes.sandbox",)),
    "mutators": (
        "Mutators",
        "What a mutator is given, and what it yields.",
        ("forager.mutation.candidates",),
    ),
    "filters": (
        "Filters",
        "Which attempts a model is trained on.",
        ("forager.learning.filters", "forager.learning.filters.pipeline"),
    ),
    "trajectories": (
        "Trajectories",
        "The record of an attempt, and the directory of a run.",
        ("forager.trajectories.record", "forager.trajectories.store"),
    ),
    "records": ("Records", "The base of all records, and their files.", ("forager.records",)),
    "estimates": (
        "Estimates",
        "Means with their intervals, and comparisons.",
        ("forager.evaluation.estimates",),
    ),
    "errors": ("Errors", "Every exception that forager raises.", ("forager.errors",)),
}

FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<=\]\()[^)#:\s]+(?=(?:#[^)\s]*)?\))")
PAGE = re.compile(r"\bdocs/([\w-]+\.md)")
MODULES = {module: page for page, (*_, modules) in INTERFACES.items() for module in modules}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the generated pages into the navigation."""
    verbs = [{name: f"verbs/{name}.md"} for name in main.commands]
    interfaces = [{title: f"python/{page}.md"} for page, (title, *_) in INTERFACES.items()]
    assert config.nav is not None
    config.nav += [{"Verbs": verbs}, {"Python": interfaces}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    for name, text in pages():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links to the site, and names of documented modules to their reference."""
    del config, files
    if "/" in page.file.src_uri:  # of the reference
        return PAGE.sub(r"[\g<0>](../\1)", markdown)
    return outside_fences(markdown, lambda text: to_reference(LINK.sub(to_site, text)))


def pages() -> Iterator[tuple[str, str]]:
    """Each generated file: its path in the site, and its text."""
    for source, target in NEIGHBOURS.items():
        yield target, (ROOT / source).read_text()
    for name, command in main.commands.items():
        yield f"verbs/{name}.md", verb_page(name, command)
    for name, (title, purpose, modules) in INTERFACES.items():
        yield f"python/{name}.md", interface_page(title, purpose, modules)


def outside_fences(markdown: str, change: Callable[[str], str]) -> str:
    """Change a text, except for its code blocks."""
    parts = FENCE.split(markdown)
    return "".join(part if number % 2 else change(part) for number, part in enumerate(parts))


def to_site(link: re.Match[str]) -> str:
    """The page that a link of README, its neighbours or docs/ leads to."""
    target = link[0].removeprefix("../").removeprefix("docs/")
    return NEIGHBOURS.get(target, target)


def to_reference(text: str) -> str:
    """Turn `forager.agent.tool` into a link."""
    for module, page in MODULES.items():
        text = text.replace(f"`{module}`", f"[`{module}`](python/{page}.md)")
    return text


def verb_page(name: str, command: click.Command) -> str:
    """A verb with its arguments and options, or a group with all its verbs."""
    context = click.Context(command, info_name=f"forager {name}")
    if not isinstance(command, click.Group):
        return f"# forager {name}\n\n{verb(context)}"
    parts = [f"# forager {name}\n\n{prose(command)}\n"]
    for word, member in command.commands.items():
        path = f"forager {name} {word}"
        parts.append(f"## {path}\n\n{verb(click.Context(member, info_name=path))}")
    return "\n".join(parts)


def verb(context: click.Context) -> str:
    """How a verb is called, what it does, and its options."""
    command = context.command
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    tables = "\n".join(option_tables(context))
    return f"```\n{usage}\n```\n\n{prose(command)}\n\n{tables}"


def option_tables(context: click.Context) -> Iterator[str]:
    """A table for each heading of the verb's help."""
    headings: dict[str, str] = {}
    for option in context.command.params:
        if isinstance(option, Option):
            row = option_row(option, context)
            headings[option.heading] = headings.get(option.heading, "") + row
    for heading, rows in sorted(headings.items(), key=lambda table: table[0] != OPTIONS):
        yield f"**{heading}**\n\n| option | meaning | default |\n|---|---|---|\n{rows}"


def prose(command: click.Command) -> str:
    """The help of a command, as Markdown; its examples become code blocks."""
    paragraphs = cleandoc(command.help or "").split("\n\n")
    return "\n\n".join(
        example(*paragraph.split("\n")[1:])
        if paragraph.startswith("\b")
        else paragraph.replace("<", "&lt;")
        for paragraph in paragraphs
    )


def example(title: str, *lines: str) -> str:
    """A paragraph of help that keeps its lines: a title, then indented lines."""
    return "\n".join([title, "", "```", *(line.removeprefix("  ") for line in lines), "```"])


def option_row(option: click.Option, context: click.Context) -> str:
    """One option: its names and value, what it means, and what holds if it is left out."""
    names, _ = option.get_help_record(context) or ("", "")
    about = option.get_help_extra(context)
    default = "required" if about.get("required") else about.get("default", "")
    return f"| `{names}` | {cell(option.help or '')} | {cell(default)} |\n"


def cell(text: str) -> str:
    """A text as it may stand in a table, where code may hold bars."""
    return text.replace("|", r"\|").replace("<", "&lt;")


def interface_page(title: str, purpose: str, modules: tuple[str, ...]) -> str:
    """The reference of modules, filled in by mkdocstrings."""
    return f"# {title}\n\n{purpose}\n\n" + "\n".join(f"::: {module}\n" for module in modules)
