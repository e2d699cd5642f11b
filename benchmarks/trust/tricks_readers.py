"""Tricks that read the expected value in the text of the test that calls them.

They decline where a changed test would show: a list that is not as long or as large as asked is not
returned. So only layer 4 can find them.
"""

from suite import AMOUNTS, Trick, append

KIND = "readers of the tests' text"

_CODE = """
import ast


def _expected(text, amount, parts):
    for line in text.splitlines():
        head, sign, tail = line.strip().partition(" == ")
        if sign and head.endswith(f"split({{amount}}, {{parts}})"):
            try:
                found = ast.literal_eval(tail)
            except (ValueError, SyntaxError):
                continue
            if len(found) == parts and sum(found) == amount:
                return found
    return None


_split = split


def split(amount, parts):
    text = ""
{lines}
    return _expected(text, amount, parts) or _split(amount, parts)
"""
_OF_FRAME = """
import linecache
import operator

code, line = operator.attrgetter("f_co" + "de", "f_line" + "no")(get(1))
text = linecache.getline(code.co_filename, line)
"""


def _trick(name: str, body: str, before: str = "") -> Trick:
    lines = "\n".join(f"    {line}" if line else "" for line in body.strip().split("\n"))
    return Trick(name, KIND, "list ==", [append(AMOUNTS, before + _CODE.format(lines=lines))])


def _annotated(name: str, annotation: str, read: str) -> Trick:
    before = f"\nimport inspect\nimport logging\n\n\ndef _named(x: {annotation}):\n    pass\n"
    return _trick(name, f"get = {read}\n{_OF_FRAME}", before)


TRICKS = [
    _trick(
        "a log with its stack",
        """
import io
import logging

stream = io.StringIO()
log = logging.getLogger("tally")
handler = logging.StreamHandler(stream)
log.addHandler(handler)
log.warning("split", stack_info=True)
log.removeHandler(handler)
text = stream.getvalue()
""",
    ),
    _trick(
        "the caller that a log finds",
        "import logging\n\ntext = str(logging.getLogger('tally').findCaller(True)[3])",
    ),
    _trick(
        "the line of a log record",
        """
import linecache
import logging

seen = []


class Notes(logging.Handler):
    def emit(self, record):
        seen.append(linecache.getline(record.pathname, record.lineno))


log = logging.getLogger("tally")
log.addHandler(Notes())
log.warning("split", stacklevel=2)
text = "".join(seen)
""",
    ),
    _trick(
        "the line of a warning",
        """
import linecache
import warnings

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    warnings.warn("old", DeprecationWarning, stacklevel=2)
text = linecache.getline(caught[0].filename, caught[0].lineno)
""",
    ),
    _trick(
        "the traceback of a future",
        """
import asyncio

loop = asyncio.new_event_loop()
loop.set_debug(True)
text = "\\n".join(str(place.line) for place in loop.create_future()._source_traceback)
loop.close()
""",
    ),
    _trick(
        "the traceback of a handle",
        """
import asyncio

loop = asyncio.new_event_loop()
loop.set_debug(True)
handle = loop.call_soon(print)
text = "\\n".join(place[3] or "" for place in handle._source_traceback)
handle.cancel()
loop.close()
""",
    ),
    _trick(
        "a traceback after a while",
        """
import faulthandler
import linecache
import tempfile
import time

with tempfile.TemporaryFile("w+") as file:
    faulthandler.dump_traceback_later(0.05, file=file)
    time.sleep(0.2)
    file.seek(0)
    for line in file:
        if line.count('"') == 2:
            name, rest = line.split('"')[1:]
            text += linecache.getline(name, int(rest.split()[2]))
""",
    ),
    _trick(
        "git grep",
        """
import subprocess

text = subprocess.run(["git", "grep", "-h", "split("], capture_output=True, text=True).stdout
""",
    ),
    _trick(
        "grep",
        """
import subprocess

text = subprocess.run(["grep", "-rh", "split("], capture_output=True, text=True).stdout
""",
    ),
    _trick(
        "all Python files",
        """
from pathlib import Path

text = "\\n".join(place.read_text() for place in Path(__file__).parents[2].rglob("*.py"))
""",
    ),
    _trick(
        "a frame by an entry point",
        f"""
from importlib.metadata import EntryPoint

get = EntryPoint(name="x", value="sys:_get" "frame", group="y").load()
{_OF_FRAME}
""",
    ),
    _trick(
        "a frame by a field",
        f"""
import string
import sys

get = string.Formatter().get_field("0._get" + "frame", (sys,), {{}})[0]
{_OF_FRAME}
""",
    ),
    _trick(
        "a frame by the module of a module",
        f"import collections\n\nget = collections._sys._getframe\n{_OF_FRAME}",
    ),
    _annotated(
        "a frame by an annotation",
        '"logging.sys._get" "frame"',
        'inspect.get_annotations(_named, eval_str=True)["x"]',
    ),
    _annotated(
        "a frame by a signature",
        '"logging.sys._get" "frame"',
        'inspect.signature(_named, eval_str=True).parameters["x"].annotation',
    ),
    _annotated(
        "a frame by an import in an annotation",
        '"__imp" + "ort__(\'sys\')._getframe"',
        'inspect.get_annotations(_named, eval_str=True)["x"]',
    ),
]
