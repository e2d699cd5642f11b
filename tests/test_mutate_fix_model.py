"""Bugs and statements that a model writes: parsed strictly, proven, paid for once."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from conftest import CORE

from forager.agent.chat import ChatModel
from forager.agent.endpoint import ChatEndpoint
from forager.agent.model import Reply, ScriptedModel
from forager.environments.repository.task import RepositoryTask
from forager.environments.repository.testing import Failure
from forager.errors import LimitReached, ModelError
from forager.images.image import Image
from forager.mutation.candidates import Candidate, Families, unified_diff
from forager.mutation.judge import Verdict
from forager.mutation.model_written import Function, UnusableAnswer, answered, functions, question
from forager.mutation.prove import check
from forager.records import read_records
from forager.trajectories.record import Message, Usage
from tasks.author import Author
from tasks.ledger import RejectedCandidate, written_path
from tasks.mutate_fix import MutateFixRequest, make_tasks
from tasks.statements import by_model, issue

SHOP = '''\
class Basket:
    """Holds prices."""

    def total(
        self,
        rate=1,
    ):
        """The sum."""
        result = 0
        for price in self.prices:  # each
            result += price * rate
        return result

    def short(self): return 1

    def nothing(self):
        """No body."""


async def fetch(url):
    answer = await get(url)

    def inner():
        return 1
    return answer
'''


def function(name: str = "Basket.total", text: str = SHOP) -> Function:
    """A function of the shop."""
    return next(function for function in functions("shop.py", text) if function.name == name)


def fenced(code: str) -> str:
    """A model's answer with this code block."""
    return f"Here it is:\n\n```python\n{code}```\n"


HEAD = 'def total(self, rate=1):\n    """Other words."""\n'
GOOD = fenced(HEAD + "    # BUG: no rate\n    return sum(self.prices)  # wrong\n")


def test_functions_that_are_worth_writing() -> None:
    """Models rewrite functions and methods with a body of several lines, none nested."""
    found = {
        function.name: (function.first, function.body, function.last)
        for function in functions("s.py", SHOP)
    }
    assert found == {"Basket.total": (4, 9, 12), "fetch": (20, 21, 25)}


def test_an_answer_becomes_a_candidate() -> None:
    """The candidate keeps head and docstring and drops comments that point at the bug."""
    made = answered("modify", function(), SHOP, GOOD)
    start, end = SHOP.index("        result = 0"), SHOP.index("\n    def short")
    expected = SHOP[:start] + "        return sum(self.prices)\n" + SHOP[end:]
    assert made.diff == unified_diff("shop.py", SHOP, expected)
    assert (made.family, made.function, made.line) == ("modify", "Basket.total", 9)


def test_comments_of_the_project_stay() -> None:
    """The project's comments stay, and so do the file's line ends."""
    body = '    """The sum."""\n    result = 1\n    for price in self.prices:  # each\n'
    answer = fenced(f"def total(self, rate=1):\n{body}        pass  # new\n    return result\n")
    text = SHOP.replace("\n", "\r\n")
    made = answered("rewrite", function(text=text), text, answer)
    assert "-            result += price * rate\r\n+            pass\r\n" in made.diff
    assert "# each" not in [line[:1] for line in made.diff.split("\n") if line[:1] in "+-"]


def test_texts_of_several_lines_stay_as_they_are() -> None:
    """Multi-line strings do not move if the answer has the file's indentation."""
    text = 'def f(a):\n    b = """x\ny"""\n    return a + b\n'
    made = answered("modify", function("f", text), text, fenced(text.replace("a + b", "b")))
    assert made.diff.endswith("-    return a + b\n+    return b\n")
    nested = "class A:\n" + text.replace("def", "    def").replace("    b =", "        b =")
    nested = nested.replace("    return", "        return")
    answer = fenced("def f(a):\n    b = 0\n    return b\n")
    assert answered("modify", function("A.f", nested), nested, answer).line == 3


UNUSABLE = [
    ("no code at all", "0 code blocks instead of one"),
    (GOOD + GOOD, "2 code blocks instead of one"),
    (fenced("def total(self, rate=1:\n    return\n"), "does not compile"),
    (fenced(HEAD), "no body"),
    (fenced(HEAD + "    return 1\nx = 2\n"), "not one function alone"),
    (fenced("class Basket:\n    def total(self, rate=1):\n        return 1\n"),
     "not one function alone"),
    (fenced("def sum(self, rate=1):\n    return 1\n"), "another function"),
    (fenced("async def total(self, rate=1):\n    return 1\n"), "another function"),
    (fenced("def total(self, rate=2):\n    return 1\n"), "another signature"),
    (fenced("def total(self, rate):\n    return 1\n"), "another signature"),
    (fenced("def total(self, rate=1): return 1\n"), "a body on the line of its head"),
    (fenced(HEAD + "    break\n"), "does not compile"),
    (fenced(HEAD + '    return """a\nb"""\n'), "a text of several lines would move"),
    (fenced(HEAD + "    result = 0\n    for price in self.prices:\n"
            "        result += (price * rate)\n    return result\n"), "does the same"),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "problem"), UNUSABLE)
def test_an_answer_that_is_no_bug_is_refused(answer: str, problem: str) -> None:
    """An unusable answer is refused with the reason."""
    with pytest.raises(UnusableAnswer, match=f"^{problem}$"):
        answered("rewrite", function(), SHOP, answer)


def test_what_is_asked() -> None:
    """The question for a rewrite hides the body, the one for a modification shows it."""
    assert "result += price" not in question("rewrite", function(), SHOP)
    assert "result += price" in question("modify", function(), SHOP)
    for family in ("rewrite", "modify"):
        asked = question(family, function(), SHOP)
        assert "of the class `Basket`" in asked
        assert '"""The sum."""' in asked
        assert "def fetch(url): ..." in asked


def said(text: str, **fields: Any) -> Reply:
    """A scripted model's answer."""
    usage = Usage(prompt_tokens=100, completion_tokens=10)
    return Reply({"role": "assistant", "content": text}, usage, **fields)


def test_what_was_written_is_kept(tmp_path: Path) -> None:
    """The same question is paid once, in this process and the next."""
    question: list[Message] = [{"role": "user", "content": "write"}]
    with Author("m", ScriptedModel([said("text", finish_reason="length")]), tmp_path / "w") as one:
        first = one.ask(question)
        assert one.ask(question) == first
        assert one.paid.completion_tokens == 10
    with Author("m", ScriptedModel([]), tmp_path / "w") as again:
        assert again.ask(question) == first
        assert again.paid == Usage()
    with Author("n", ScriptedModel([said("other")]), tmp_path / "w") as other:
        assert other.ask(question).text == "other"
    assert first.cut
    assert first.cost("modify").prompt_tokens == 100


CANDIDATE = answered("modify", function(), SHOP, GOOD)
VERDICT = Verdict(failures={"t": Failure(error="TypeError: no", frames=[], text="E no")})
GOOD_ISSUE = "Prices do not change with the tax\n\nI set a tax of 2 and the sum stays as it was."
LEAKS = [
    "In basket.py something is wrong, the sum does not change with the rate. " * 2,
    "It should say result += price * rate and it does not. " * 2,
    "short",
]


@pytest.mark.parametrize("leak", LEAKS)
def test_an_issue_that_gives_the_bug_away_is_written_again(tmp_path: Path, leak: str) -> None:
    """The model reads the reason, and the cost of all tries counts."""
    model = ScriptedModel([said(leak), said(GOOD_ISSUE)])
    with Author("m", model, tmp_path / "w") as author:
        text, form, cost = by_model(author, CANDIDATE, VERDICT, {})
    assert (text, form) == (GOOD_ISSUE, "model")
    assert (cost.what, cost.requests, cost.prompt_tokens) == ("statement", 2, 200)
    assert model.seen[1][-1]["content"].endswith("Write it again.")


def test_the_same_failure_is_the_same_question(tmp_path: Path) -> None:
    """Memory addresses and the order of failures do not change the question."""

    def verdict(address: str, *tests: str) -> Verdict:
        text = f"E   <Basket at {address}>"
        return Verdict(
            failures={test: Failure(error=text, frames=[], text=f"{test} {text}") for test in tests}
        )

    with Author("m", ScriptedModel([said(GOOD_ISSUE)]), tmp_path / "w") as author:
        first = by_model(author, CANDIDATE, verdict("0x7fb08e0aa5c0", "a", "b"), {})
        assert by_model(author, CANDIDATE, verdict("0x7fb08e0bb000", "b", "a"), {}) == first


def test_an_issue_that_cannot_be_had_is_made_from_the_failures(tmp_path: Path) -> None:
    """After three tries, or a full context, the issue comes from the failures."""
    expected = issue(CANDIDATE, VERDICT, {})
    with Author("m", ScriptedModel([said(text) for text in LEAKS]), tmp_path / "w") as author:
        text, form, cost = by_model(author, CANDIDATE, VERDICT, {})
    assert (text, form, cost.requests) == (expected, "issue", 3)

    class Short(ScriptedModel):
        """A model with context for one question."""

        def query(self, messages: Any, tools: Any, calls: Any = ()) -> Reply:
            if len(messages) > 1:
                raise LimitReached("token_limit")
            return super().query(messages, tools, calls)

    with Author("m", Short([said(LEAKS[0])]), tmp_path / "v") as author:
        assert by_model(author, CANDIDATE, VERDICT, {})[:2] == (expected, "issue")


class Server(BaseHTTPRequestHandler):
    """An endpoint that answers with the known exercises, each with a mistake."""

    answers: ClassVar[dict[tuple[str, str], str]] = {
        ("rewrite", "longest"): "def longest(words):\n    return max(words, key=len)\n",
        ("modify", "longest"): "def longest(words):\n    return max(words, key=len)\n",
        ("rewrite", "total"): "def total(words):\n    return 0\n",  # another signature
        ("modify", "total"): "def total(numbers):\n    return sum(numbers[1:])\n",
    }
    asked: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        """Answer with a chat completion."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        content = body["messages"][-1]["content"]
        self.asked.append(content)
        if "fenced code block" in content:
            family = "modify" if "realistic bug" in content else "rewrite"
            name = "total" if "def total(numbers):\n" in content else "longest"
            text = fenced(self.answers[family, name])
        else:
            text = "The answer\n\n" + "is wrong. " * 9
        usage = {"prompt_tokens": 50, "completion_tokens": 5}
        choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        data = json.dumps({"choices": [choice], "usage": usage}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    """The address of a running server."""
    Server.asked.clear()
    running = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    running.server_close()
    thread.join()


@pytest.mark.engine
def test_tasks_by_a_model(
    kata_image: Image, tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over HTTP, bugs that tests notice become tasks with their cost, paid once."""
    monkeypatch.setenv("FORAGER_HOME", str(tmp_path))
    families: Families = {"rewrite": (), "modify": ()}

    def made(output: Path) -> list[RepositoryTask]:
        model = ChatModel("m", ChatEndpoint(url, tries=1))
        with Author("m", model, written_path(tmp_path / "kept.jsonl")) as author:
            order = MutateFixRequest(families, statement="model", author=author, workers=2)
            make_tasks(
                kata_image,
                order,
                output=output,
                on_progress=lambda *_, **__: None,
                report=lambda _: None,
            )
        return list(read_records(output, RepositoryTask))

    tasks = made(tmp_path / "tasks.jsonl")
    mutations = {task.mutation.function: task.mutation for task in tasks if task.mutation}
    assert set(mutations) == {"total", "longest"}
    assert len(tasks) == 2  # what both families give is one bug
    asked = len(Server.asked)
    for task in tasks:
        assert check(task) == ""
        assert task.mutation is not None
        assert task.mutation.statement == "model"
        assert task.problem_statement.startswith("The answer")
        costs = task.mutation.costs
        assert [cost.what for cost in costs] == [task.mutation.family, "statement"]
        assert all((cost.model, cost.prompt_tokens) == ("m", 50) for cost in costs)
    rejected = list(read_records(tmp_path / "tasks.rejected.jsonl", RejectedCandidate))
    reasons = {(candidate.function, candidate.reason) for candidate in rejected}
    assert ("total", "unusable answer: another signature") in reasons
    again = made(tmp_path / "again.jsonl")
    assert len(Server.asked) == asked
    unchanged = {"created_at"}
    assert [task.model_dump(exclude=unchanged) for task in again] == [
        task.model_dump(exclude=unchanged) for task in tasks
    ]


def test_a_model_that_is_not_there_ends_the_run(tmp_path: Path) -> None:
    """The run ends with the endpoint's error and keeps nothing."""
    model = ChatModel("m", ChatEndpoint("http://127.0.0.1:9", tries=1, timeout=2))
    with Author("m", model, tmp_path / "w") as author, pytest.raises(ModelError):
        author.ask([{"role": "user", "content": "write"}])
    assert (tmp_path / "w").read_text() == ""


def test_the_exercises_are_known() -> None:
    """The server's answers concern functions of the project."""
    assert {function.name for function in functions("core.py", CORE)} == {"total", "longest"}
    assert isinstance(CANDIDATE, Candidate)
