"""Plug-ins of pytest: which distribution has them, and which options change no outcome."""

import re

from forager.images.collection import StatedOption

# The beginnings of the settings and options that a plug-in has.
_NAMES_OF = {
    "pytest-asyncio": r"asyncio_|--asyncio",
    "anyio": r"anyio_",
    "pytest-trio": r"trio_",
    "pytest-timeout": r"timeout|--timeout|--session-timeout",
    "pytest-mock": r"mocked?_",
    "pytest-env": r"env$",
    "pytest-django": r"django_|DJANGO_|--ds$|--reuse-db|--create-db|--no-?migrations",
    "pytest-qt": r"qt_",
    "pytest-doctestplus": r"doctest_plus|doctestplus|--doctest-plus",
    "pytest-remotedata": r"remote_data|--remote-data",
    "pytest-benchmark": r"benchmark",
    "pytest-subtests": r"--subtests",
    "pytest-socket": r"--disable-socket|--allow-hosts|--allow-unix-socket",
    "pytest-forked": r"--forked$",
    "hypothesis": r"--hypothesis",
}
_MODULES = {  # whose names do not tell the distribution
    "anyio.pytest_plugin": "anyio",
    "aiohttp.pytest_plugin": "pytest-aiohttp",
}
_KNOWN = {*_NAMES_OF, "pytest-httpserver", "pytest-aiohttp"}
_STYLES = "ruff|black|flake8|mypy|isort|pylint|codestyle|pycodestyle"
# Options that measure, report or spread load: they change no outcome, and slow the run.
_MEASURES = re.compile(
    rf"--(no-)?cov(-.*)?|--({_STYLES})(-.*)?|--junit.*|--html|--self-contained-html|--benchmark.*|"
    r"-n|-d|-f|--numprocesses|--maxprocesses|--dist|--tx|--px|--max-worker-restart|--maxschedchunk|"
    r"--(no-)?loadscope-reorder|--rsync.*|--looponfail|--durations.*|--color|--code-highlight|"
    r"-q|--quiet|-v|--verbose|--verbosity|-r|--tb|-l|--(no-)?showlocals|-x|--exitfirst|--maxfail|"
    r"--ff|--failed-first|--lf|--last-failed|--nf|--new-first|--lfnf|--last-failed-no-failures|"
    r"--sw|--stepwise.*|--pdb|--reruns.*|--randomly.*|--random-order.*|--instafail|--pastebin|"
    r"--report-log.*|--json-report.*"
)
_MEASURING = re.compile(
    rf"(pytest[-_.])?(cov|xdist|{_STYLES}|html|sugar|randomly|random[-_.]order|rerunfailures|"
    r"instafail|metadata|reportlog|json[-_.]report|enabler|checkdocs)\b"
)


def measures(option: StatedOption) -> bool:
    """Whether all names in an option's words measure, report or spread load."""
    if option.names == ["-p"]:
        return is_measuring("".join(option.words)[2:])
    return all(_MEASURES.fullmatch(name) for name in option.names)


def is_measuring(plugin: str) -> bool:
    """Whether a plug-in, by its module or distribution, measures, reports or spreads load."""
    return _MEASURING.match(plugin) is not None


def plugin_of_option(name: str) -> str:
    """The distribution with the plug-in that has a setting or option of this name; or empty."""
    found = [plugin for plugin, names in _NAMES_OF.items() if re.match(names, name)]
    return found[0] if found else ""


def plugin_of_module(name: str) -> str:
    """The distribution with the plug-in that is a module of this name; or empty.

    Other names could be anybody's package.
    """
    likely = name.partition(".")[0].replace("_", "-")
    return _MODULES.get(name) or (likely if likely in _KNOWN else "")
