"""Looks through a syntax tree for what only a forger of test results needs."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, Callable, Iterator, NamedTuple

from . import objects, probes, rules
from .evaluator import FUNCTIONS, IMPORTERS, Evaluator, index_of
from .scopes import Binding, Layout, Scope, Visited, module_of
from .values import Constant, Own, Sequence, Thing

if TYPE_CHECKING:
    Look = Callable[["SourceFinder", Any, Scope], None]

_EXEC = frozenset(["builtins.exec", "builtins.eval"])
_LATER = frozenset(["__exit__", "__aexit__", "__set_name__", "__init_subclass__"])
_ENVIRONMENT = frozenset(["=env", "=printenv", "=/usr/bin/env"])  # commands that print it
_NESTED = 4  # texts that execute texts
_PROGRAM = (
    "imports",
    "ends the process",
    "registers",
    "starts",
    "sets a signal",
    "writes",
    "runs doctests",
    "changes the directory",
)
"""What a block that only runs as a program may do."""


class Finding(NamedTuple):
    """A construct: where it is, and what it does.

    `code` is its line in the source, if any other use of the construct counts as a new one.
    """

    line: int
    text: str
    code: str = ""


class SourceFinder:
    """Finds suspect constructs in a tree.

    `owns` says whether a module is the project's own (see `comparison.owner`), `tests` are the
    files and functions of tests.
    """

    def __init__(
        self,
        tree: ast.AST,
        owns: Callable[[str], bool],
        outer: SourceFinder | None = None,
        scope: Scope | None = None,
        tests: frozenset[str] = frozenset(),
    ) -> None:
        self._owns, self._outer = owns, outer
        self._tests = tests
        self._test_names = {path.rpartition("/")[2] for path in tests}
        self._layout = Layout(tree, scope)
        self._evaluator: Evaluator = Evaluator(self._layout, outer._evaluator if outer else None)
        self._level: int = outer._level + 1 if outer else 0
        self._line = 0
        self._importing = _ImportTime(self._layout)
        self._functions: set[int] = set()  # nodes that are called; they come after their calls
        self._asked: set[str] = set()  # variables of the environment
        self._marked: dict[str, ast.AST] = {}
        self._searched: list[ast.AST] = []  # where the names of all variables are read
        self.findings: list[Finding] = []
        self.loads: set[str] = set()
        self.texts: set[str] = set()

    def look(self) -> list[Finding]:
        """All findings. Raises TooMuch for a file that takes too many steps."""
        self._round()
        if self._evaluator.again():
            self._round()
        self.findings = list(dict.fromkeys(self.findings))
        return self.findings

    def _round(self) -> None:
        self._evaluator.nested.clear()
        executed = [seen for seen in self._layout.visited if isinstance(seen.node, ast.Call)]
        for seen in executed:
            self._execute(seen)
        for seen in self._layout.visited:
            if not (seen.block == "types" and self._checks_types(seen.scope)):
                self._look_at(seen)
        for name in sorted(self._asked & set(self._marked)):
            self._find(f"leaves a mark in the environment: {name}", self._marked[name])
        parts = sorted(filter(probes.is_part_of_variable, self.texts))
        for node in self._searched if parts else ():
            self._find(f"searches the environment for {parts[0]}", node)

    def _checks_types(self, scope: Scope) -> bool:
        """Whether nothing but `typing` defines TYPE_CHECKING here."""
        paths = self._evaluator.lookup("TYPE_CHECKING", scope)
        known = ("typing.TYPE_CHECKING", "typing_extensions.TYPE_CHECKING")
        bound = self._layout.top.names.get("TYPE_CHECKING", ())
        return all(isinstance(path, Thing) and path.path in known for path in paths) and all(
            binding.kind == "import" for binding in bound
        )

    def _look_at(self, seen: Visited) -> None:
        node, before = seen.node, len(self.findings)
        look = _LOOKS.get(type(node))
        if look is None:
            return
        self._line = getattr(node, "lineno", self._line)
        look(self, node, seen.scope)
        if seen.block == "program":
            kept = [f for f in self.findings[before:] if not f.text.startswith(_PROGRAM)]
            self.findings[before:] = kept

    def _find(self, text: str, node: ast.AST | None = None) -> None:
        finding = Finding(getattr(node, "lineno", self._line), text)
        if finding not in self.findings[-8:]:
            self.findings.append(finding)

    # Imports

    def _import(self, node: Any, scope: Scope) -> None:
        for alias in node.names:
            self._imports(alias.name)

    def _import_from(self, node: Any, scope: Scope) -> None:
        module = module_of(node)
        self._imports(module)
        for alias in node.names:
            path = f"{module}.{alias.name}"
            if rules.is_machinery(path) and not rules.is_machinery(module):
                self._find(f"imports {path}")
            self.loads.add(path)
            self._use(path)
            if path in rules.WIDE and alias.asname:
                self._find(f"makes an exception stand for all: {alias.asname}", node)

    def _imports(self, module: str) -> None:
        self.loads.add(module)
        if rules.is_machinery(module):
            self._find(f"imports {module}")
        elif module in rules.USES:
            self._find(f"{rules.USES[module]}: {module}")

    def _imported(self, node: Any, scope: Scope) -> None:
        """A call that imports by a name."""
        for name in self._evaluator.texts(node.args[0], scope) if node.args else ():
            self._imports(name.replace(":", "."))
        if node.args:
            parts = self._ingredients(node.args[0], scope)
            if parts & (rules.DECODING | rules.READING | rules.READING_ATTRIBUTES):
                self._find("hides the name of a module that it imports")

    # Uses

    def _use(self, path: str) -> None:
        """A thing that the file uses."""
        parts = path.split(".")
        if parts[-1] in rules.FRAMES:
            self._find(f"reads stack frames: {parts[-1]}")
            return
        for length in range(len(parts), 0, -1):
            begin = ".".join(parts[:length])
            if begin in rules.USES and "." in begin:
                self._find(f"{rules.USES[begin]}: {begin}")
                return
        if path in rules.NAMESPACES:
            self._find(f"takes the namespace of {path[: -len('.__dict__')]}")
        elif path.endswith("__subclasses__"):
            owner = path[: -len(".__subclasses__")]
            if self._is_foreign_class(owner):
                self._find(f"searches classes by {owner}.__subclasses__")
        elif rules.is_machinery(
            parts[0] if parts[0] != "unittest" else ".".join(parts[:2])
        ) or path.startswith("__main__."):
            self._find(f"uses {path}")

    def _is_foreign_class(self, owner: str) -> bool:
        if owner.startswith("?"):
            return any(f"{name}" in owner for name in ("__base__", "__bases__", "__mro__"))
        return not self._owns(owner.partition(".")[0]) and not owner.startswith("__self__")

    def _attribute(self, node: Any, scope: Scope) -> None:
        if node.attr in rules.FRAMES:
            self._find(f"reads stack frames: {node.attr}", node)
        elif node.attr == "from_address":
            self._find("reaches into the interpreter's memory: from_address", node)
        elif node.attr == "pluginmanager":
            self._find("reaches the plug-ins of pytest", node)
        if isinstance(node.ctx, ast.Load):
            if node.attr == "__doc__":
                self._documented(node.value, scope, node)
            for path in self._evaluator.paths(node, scope):
                self._use(path)
            self._probe(probes.of_attribute(node, scope, self._evaluator), node)
        else:
            self._store(node, scope)

    def _probe(self, found: Iterator[str], node: ast.AST) -> None:
        """What a program asks to tell whether tests run it."""
        for text in found:
            self._find(text, node)

    def _name(self, node: Any, scope: Scope) -> None:
        passed = node.id in ("exec", "eval") and id(node) not in self._functions
        if passed and set(self._evaluator.paths(node, scope)) & _EXEC:
            self._find(f"passes exec on: {node.id}", node)
        if node.id == "__builtins__" and isinstance(node.ctx, ast.Load):
            self._find("uses __builtins__", node)
        elif node.id in ("__build_class__", "__loader__"):
            if Thing(f"builtins.{node.id}") in self._evaluator.values(node, scope):
                self._find(f"uses {node.id}", node)
        elif node.id == "pytest_plugins" and isinstance(node.ctx, ast.Store):
            self._find("defines a hook of pytest: pytest_plugins", node)
        elif self._layout.stars and isinstance(node.ctx, ast.Load):
            for path in self._evaluator.paths(node, scope):
                self._use(path)

    def _documented(self, of: ast.AST, scope: Scope, node: ast.AST) -> None:
        """A docstring of the file that a function reads."""
        if not isinstance(_function(scope), FUNCTIONS):
            return
        for value in self._evaluator.values(of, scope):
            if isinstance(value, Own) and not isinstance(value.node, ast.Lambda):
                self._find(f"reads the docstring of {value.node.name}", node)

    # Stores

    def _store(self, node: Any, scope: Scope) -> None:
        """An attribute that is assigned or deleted."""
        owners = self._evaluator.values(node.value, scope)
        self._stored(owners, [node.attr], node)
        self._replaced(owners, node.attr, node)
        if node.attr in rules.CODE:
            self._find(f"changes code objects: assigns {node.attr}", node)

    def _given_later(self, owner: Own, name: str, node: ast.AST) -> None:
        """An attribute that a class or a function of the file gets after its definition."""
        decisive = rules.COMPARING | rules.PRINTING | rules.LIES | _LATER
        if isinstance(owner.node, ast.ClassDef) and name in decisive:
            self._find(f"assigns {name} of the class {owner.node.name}", node)

    def _stored(self, owners: Any, names: list[str], node: ast.AST) -> None:
        for owner in owners:
            if isinstance(owner, Own):
                for name in names:
                    self._given_later(owner, name, node)
            if not isinstance(owner, Thing):
                continue
            path = owner.path
            for name in names or ["?"]:
                if path == "builtins":
                    self._find(f"replaces builtins: {name}", node)
                elif path.endswith(".__class__") and path.startswith("?"):
                    if name in rules.COMPARISONS and self._of_other(node):
                        self._find(f"assigns {name} of the class of a value", node)
                elif self._is_foreign(path) and f"{path}.{name}" not in rules.HONEST_TARGETS:
                    self._find(f"assigns {_attribute(path, name)}", node)
                if name in rules.CODE:
                    self._find(f"changes code objects: assigns {name}", node)

    def _replaced(self, owners: Any, name: str, node: ast.AST) -> None:
        """What tests call or compare, of another module of the project, gets another meaning.

        A patch may change any other module openly, so replacing what is there gains nothing.
        """
        decisive = rules.COMPARING | rules.PRINTING | rules.LIES | _LATER
        for owner in owners:
            path = owner.path if isinstance(owner, Thing) else ""
            if name in rules.DEFAULTS and path and not set("?(") & set(path):
                self._find(f"changes the defaults of {path}", node)
            if not path or "(" in path or "?" in path or not self._is_elsewhere(path):
                continue
            if self._owns(path) and rules.helps_tests(path):
                self._find(f"replaces {path}.{name} from another module", node)
            elif name in decisive and not self._owns(path):
                self._find(f"assigns {name} of {path} from another module", node)

    def _is_elsewhere(self, path: str) -> bool:
        """Whether a path leads to a module of the project, or into one, but not to this one."""
        return "." in path and (path.startswith("__self__.") or self._owns(path.partition(".")[0]))

    def _of_other(self, node: Any) -> bool:
        """Whether the class is not that of `self` or `cls`."""
        names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
        return not names & {"self", "cls"}

    def _is_foreign(self, path: str) -> bool:
        """Whether a path names a module, or a class or function of one, of others."""
        if path in ("sys.modules[?]", "?module"):
            return True
        root = path.partition(".")[0]
        if "(" in path or "?" in path or root == "__self__":
            return False
        if any(part.startswith("test_") or part == "conftest" for part in path.split(".")):
            return True
        return not self._owns(root)

    def _subscript(self, node: Any, scope: Scope) -> None:
        if not isinstance(node.ctx, ast.Load):
            self._store_item(node, scope)
            return
        for path in self._evaluator.paths(node, scope):
            self._use(path)
            if path.endswith(".?"):
                self._unknown(path[:-2], node.slice, scope, node)
            elif path == "os.environ[?]":
                self._asked.update(self._evaluator.texts(index_of(node), scope))
        self._secret(node, scope)

    def _store_item(self, node: Any, scope: Scope) -> None:
        key = index_of(node)
        for path in self._evaluator.paths(node.value, scope):
            names = self._evaluator.texts(key, scope)
            if path == "sys.modules":
                self._module_stored(names, key, scope, node)
            elif path.endswith((".__globals__", ".f_globals", ".f_builtins", ".f_locals")):
                self._find(f"changes the globals of a function: {path.rpartition('.')[2]}", node)
            elif path.endswith(".__dict__"):
                self._stored_by_namespace(path[: -len(".__dict__")], names, node)
            elif path == "os.environ":
                self._marked.update(dict.fromkeys(names, node))
            elif path == "builtins":
                self._find("replaces builtins", node)

    def _stored_by_namespace(self, path: str, names: list[str], node: ast.AST) -> None:
        """Attributes that are set in the namespace of an object."""
        self._stored([Thing(path)], names, node)
        if self._is_elsewhere(path) and self._owns(path) and rules.helps_tests(path):
            for name in names or ["?"]:
                self._find(f"replaces {path}.{name} from another module", node)

    def _module_stored(self, names: list[str], key: Any, scope: Scope, node: ast.AST) -> None:
        paths = self._evaluator.paths(key, scope)
        own = any(path.startswith("__self__") for path in paths)
        for name in names:
            if not self._owns(name.partition(".")[0]) or rules.helps_tests(name):
                self._find(f"replaces sys.modules[{name!r}]", node)
        if not names and not own and not self._mentions_name(key):
            self._find("replaces modules in sys.modules", node)

    def _mentions_name(self, key: ast.AST) -> bool:
        """Whether a key is made of the module's own name."""
        return any(
            getattr(part, "id", getattr(part, "attr", "")) in ("__name__", "__package__")
            for part in ast.walk(key)
        )

    def _assigned(self, node: Any, scope: Scope) -> None:
        for text in objects.of_assignment(node, scope, self._evaluator):
            self._find(text, node)
        for target in node.targets:
            if isinstance(target, ast.Attribute) and target.attr == "__doc__":
                owners = self._evaluator.values(target.value, scope)
                called = any(isinstance(part, ast.Call) for part in ast.walk(node.value))
                if called and any(isinstance(owner, Own) for owner in owners):
                    self._find("rewrites a docstring: __doc__", node)

    # Calls

    def _call(self, node: Any, scope: Scope) -> None:
        self._functions.add(id(node.func))
        functions = self._evaluator.values(node.func, scope)
        paths = {value.path for value in functions if isinstance(value, Thing)}
        self._secret(node, scope)
        if any(keyword.arg and keyword.arg.startswith("co_") for keyword in node.keywords):
            self._find("changes code objects: replace", node)
        for path in self._evaluator.paths(node, scope):
            self._use(path)
            if path.endswith(".?"):
                name = node.args[1] if len(node.args) > 1 else node
                self._unknown(path[:-2], name, scope, node)
        for value in functions:
            self._by_partial(value, node, scope)
            if isinstance(value, Own):
                self._passes_module(value, node, scope)
        for path in paths:
            self._called(path, node, scope)
        self._touch(paths, node, scope)
        self._sets_later(node, scope)
        self._probe(probes.of_call(node, scope, self._evaluator), node)
        if (node.args and paths & rules.DOCSTRINGS) or (
            "builtins.getattr" in paths and "__doc__" in self._named(node, 1, scope)
        ):
            self._documented(node.args[0], scope, node)

    def _named(self, call: Any, place: int, scope: Scope) -> list[str]:
        """The texts that an argument can stand for."""
        if len(call.args) <= place:
            return []
        return self._evaluator.texts(call.args[place], scope)

    def _by_partial(self, value: Any, node: ast.AST, scope: Scope) -> None:
        """What a partial call imports."""
        function = getattr(value, "function", None)
        if isinstance(function, Thing) and function.path in IMPORTERS:
            for argument in value.arguments[0] if value.arguments else ():
                if isinstance(argument, Constant) and isinstance(argument.value, str):
                    self._imports(argument.value)

    def _passes_module(self, function: Own, node: Any, scope: Scope) -> None:
        """A module that goes to a function whose starred parameters get attributes set."""
        given = getattr(function.node, "args", None)
        if given is None or not (given.vararg or given.kwarg):
            return
        calls = (part.func for part in ast.walk(function.node) if isinstance(part, ast.Call))
        names = {getattr(called, "id", getattr(called, "attr", "")) for called in calls}
        if names & {"setattr", "delattr", "__setattr__"} and self._has_module(node, scope):
            self._find("passes a module to a function that sets attributes", node)

    def _has_module(self, call: Any, scope: Scope) -> bool:
        """Whether an argument of a call is a module or class of others, or holds one."""
        parts = [*call.args, *(keyword.value for keyword in call.keywords)]
        waiting = [value for part in parts for value in self._evaluator.values(part, scope)]
        for value in waiting:
            path = value.path if isinstance(value, Thing) else "builtins."
            if not path.startswith("builtins.") and self._is_foreign(path):
                return True
            if isinstance(value, Sequence) and len(waiting) < 200:
                waiting += [inner for item in value.items for inner in item]
        return False

    def _sets_later(self, node: Any, scope: Scope) -> None:
        """A call that gets `setattr` itself and a module."""
        for part in node.args:
            sets = {"builtins.setattr", "builtins.delattr"} & set(
                self._evaluator.paths(part, scope)
            )
            if sets and self._has_module(node, scope):
                self._find("passes setattr and a module", node)

    def _called(self, path: str, node: Any, scope: Scope) -> None:
        if path in rules.CALLS:
            self._find(f"{rules.CALLS[path]}: {path}", node)
        elif path in IMPORTERS:
            self._imported(node, scope)
        elif path in ("builtins.setattr", "builtins.delattr") or path.endswith(
            ("__setattr__", "__delattr__")
        ):
            self._set(path, node, scope)
        elif path in ("pickle.loads", "dill.loads", "cloudpickle.loads"):
            if node.args and self._evaluator.texts(node.args[0], scope):
                self._find("unpickles a constant", node)
        elif path == "inspect.getmembers" and node.args:
            found = set(self._evaluator.paths(node.args[0], scope)) & rules.DANGEROUS
            for owner in found:
                self._find(f"searches the members of {_shown(owner)}", node)
        elif path.startswith("sys.modules."):
            self._modules_used(path, node, scope)
        elif path.endswith(
            (".__dict__.update", ".__dict__.setdefault", ".__dict__.pop", ".__dict__.__setitem__")
        ):
            names = [keyword.arg for keyword in node.keywords if keyword.arg]
            self._stored_by_namespace(path.rpartition(".__dict__.")[0], names, node)
        elif path in ("builtins.update", "builtins.__dict__.update"):
            self._find("replaces builtins", node)
        elif path in ("ctypes.CDLL", "ctypes.cdll.LoadLibrary") and node.args:
            if Constant(None) in self._evaluator.values(node.args[0], scope):
                self._find("reaches into the interpreter's memory: ctypes.CDLL(None)", node)
        elif path in ("os.kill", "os.killpg") and self._kills_itself(node, scope):
            self._find("sends a signal to itself (kill)", node)
        elif path in ("operator.setitem", "operator.delitem") and len(node.args) > 1:
            item = ast.Subscript(value=node.args[0], slice=node.args[1], ctx=ast.Store())
            self._store_item(ast.copy_location(item, node), scope)
        elif path in ("os.environ.get", "os.getenv", "os.environ.pop"):
            self._asked.update(self._named(node, 0, scope))
        elif path in ("os.environ.setdefault", "os.putenv", "os.environ.__setitem__"):
            self._marked.update(dict.fromkeys(self._named(node, 0, scope), node))
        elif path in _LISTING and node.args:
            self._listed(node.args[-1 if path == "builtins.map" else 0], scope)
        if path in ("builtins.exec", "builtins.eval"):
            self._executed_in(node, scope)
        if path in rules.AT_IMPORT and self._importing.runs(scope):
            self._find(rules.AT_IMPORT[path], node)

    def _executed_in(self, node: Any, scope: Scope) -> None:
        """A text that is executed in the namespace of a module of others."""
        for place in node.args[1:2]:
            for path in self._evaluator.paths(place, scope):
                owner = path[: -len(".__dict__")]
                helper = self._is_elsewhere(owner) and rules.helps_tests(owner)
                if path.endswith(".__dict__") and (helper or self._is_foreign(owner)):
                    self._find(f"executes (exec) a text in the namespace of {owner}", node)

    def _set(self, path: str, node: Any, scope: Scope) -> None:
        """A call of setattr or delattr, or of the method behind it."""
        arguments = node.args
        if any(isinstance(part, ast.Starred) for part in arguments[:2]):
            self._find("hides which attribute it sets: setattr", node)
        owners = self._evaluator.values(arguments[0], scope) if arguments else frozenset()
        rest = arguments[1:]
        bound = path.rpartition(".")[0]
        if not path.startswith("builtins.") and not path.startswith("?"):
            owners, rest = frozenset([Thing(bound)]), arguments
        names = self._evaluator.texts(rest[0], scope) if rest else []
        if not names:
            owners = frozenset(
                owner
                for owner in owners
                if isinstance(owner, Thing) and owner.path != "?.__class__"
            )
        self._stored(owners, names, node)
        for name in names or ["?"]:
            self._replaced(owners, name, node)
        if set(names) & rules.CODE:
            self._find("changes code objects: assigns __code__", node)

    def _modules_used(self, path: str, node: ast.AST, scope: Scope) -> None:
        name = path.rpartition(".")[2]
        if name in ("items", "values", "keys", "copy", "__iter__"):
            self._find("searches sys.modules", node)
        elif name in ("update", "setdefault", "clear", "popitem", "__setitem__", "__delitem__"):
            self._find("replaces modules in sys.modules", node)
        elif name == "pop":
            arguments = getattr(node, "args", [])
            names = self._evaluator.texts(arguments[0], scope) if arguments else []
            if not names or not all(self._owns(name.partition(".")[0]) for name in names):
                self._find("removes modules from sys.modules", node)

    def _kills_itself(self, node: Any, scope: Scope) -> bool:
        parts = self._ingredients(node, scope)
        return bool(parts & {"os.getpid", "os.getppid", "posix.getpid"})

    def _touch(self, paths: set[str], node: Any, scope: Scope) -> None:
        """Files that a call reads, writes or removes."""
        method = getattr(node.func, "attr", "")
        opens = bool(paths & {"builtins.open", "io.open", "os.open", "codecs.open"})
        writes = bool(paths & rules.WRITING) or method in rules.WRITING_METHODS
        if opens or method == "open":
            writes = writes or self._opens_to_write(node, scope, opens)
        commands = bool(paths & rules.COMMANDS)
        looks = opens or bool(paths & rules.LOOKING) or method in rules.LOOKING_METHODS
        if not (writes or commands or looks):
            return
        parts = self._ingredients(node, scope)
        tests = sorted(
            part for part in parts if part.startswith("=") and self._names_test(part[1:])
        )
        if tests:
            what = "writes to" if writes else "runs a command on" if commands else "reads"
            self._find(f"{what} files of tests: {tests[0][1:][:60]}", node)
        elif commands and parts & _ENVIRONMENT and len(node.args) == 1:
            self._find("runs a command that prints the environment: env", node)
        elif writes and self._importing.runs(scope) and (opens or method or paths & rules.WRITING):
            self._find("writes files at import", node)

    def _names_test(self, path: str) -> bool:
        """Whether a path leads to tests, or to what they compare with."""
        return path.rpartition("/")[2] in self._test_names or rules.names_test(path)

    def _opens_to_write(self, node: Any, scope: Scope, opens: bool) -> bool:
        place = 1 if opens else 0
        modes = [keyword.value for keyword in node.keywords if keyword.arg == "mode"]
        modes += node.args[place : place + 1]
        for mode in modes:
            texts = self._evaluator.texts(mode, scope)
            if any(len(text) < 5 and set(text) & set("wax+") for text in texts):
                return True
        return False

    # Texts

    def _execute(self, seen: Visited) -> None:
        """A call that executes a text: read the text as well."""
        node: Any = seen.node
        functions = self._evaluator.values(node.func, seen.scope)
        paths = {value.path for value in functions if isinstance(value, Thing)}
        if not paths & rules.EXECUTING or not node.args:
            return
        texts = self._evaluator.texts(node.args[0], seen.scope)
        for text in texts:
            self._nested(text, node, seen.scope)
        parts = self._ingredients(node.args[0], seen.scope)
        outside = rules.READING | rules.READING_ATTRIBUTES | {"os.environ"}
        if parts & rules.DECODING:
            self._find("executes (exec) a text that it decodes", node)
        elif parts & outside:
            self._find("executes (exec) a text from outside the code", node)
        elif not texts and paths & _EXEC and self._importing.runs(seen.scope):
            self._find("executes (exec) a computed text at import", node)

    def _nested(self, text: str, node: ast.AST, scope: Scope) -> None:
        if self._level >= _NESTED:
            self._find("executes (exec) texts that execute texts", node)
            return
        try:
            tree = ast.parse(text.lstrip())
        except (SyntaxError, ValueError):
            return
        except (RecursionError, MemoryError):
            self._find("executes (exec) a text that nests too deeply", node)
            return
        inner = SourceFinder(tree, self._owns, self, scope, self._tests)
        self._evaluator.nested.append(inner._evaluator)
        for finding in inner.look():
            self._find(finding.text, node)
        self.loads |= inner.loads

    def _secret(self, node: ast.AST, scope: Scope) -> None:
        """A text put together so that no reader sees it."""
        for value in self._evaluator.values(node, scope):
            if isinstance(value, Constant) and value.built and isinstance(value.value, str):
                self.texts.add(value.value)
                if rules.is_secret(value.value):
                    self._find(f"hides the name {value.value}", node)
                elif rules.names_process(value.value):
                    self._find(f"opens {value.value}", node)
                elif value.value == "test_" or self._begins_test(value.value):
                    self._find(f"names tests: {value.value}", node)

    def _text(self, node: Any, scope: Scope) -> None:
        if isinstance(node.value, str) and len(node.value) < 200:
            self.texts.add(node.value)
            if rules.names_process(node.value) and " " not in node.value:
                self._find(f"names {node.value}", node)
            elif rules.names_runner(node.value):
                self._find(f"asks for {node.value}", node)
            elif node.value in ("/tests/", "/tests", "/test/") or self._begins_test(node.value):
                self._find(f"names tests: {node.value}", node)
            elif rules.is_mark(node.value):
                self._find(f"names {node.value}, where a mark can be left", node)

    def _begins_test(self, text: str) -> bool:
        """Whether a text is a function of the task's tests, or the beginning of one."""
        begins = text.startswith("test_") and len(text) > len("test_")
        return begins and any(name.startswith(text) for name in self._test_names)

    def _formatted(self, node: Any, scope: Scope) -> None:
        self._secret(node, scope)
        parts = [part.value if isinstance(part, ast.Constant) else "{}" for part in node.values]
        text = "".join(map(str, parts))
        if rules.names_process(text):
            self._find(f"opens {text}", node)

    def _operation(self, node: Any, scope: Scope) -> None:
        if isinstance(node.op, (ast.Add, ast.Mod, ast.Mult)):
            self._secret(node, scope)

    def _unknown(self, owner: str, name: ast.AST, scope: Scope, node: ast.AST) -> None:
        """An attribute by a name that only running the code can tell."""
        if owner in rules.DANGEROUS:
            self._find(f"hides which attribute of {_shown(owner)} it takes", node)
        elif self._is_foreign(owner):
            parts = self._ingredients(name, scope)
            if parts & rules.DECODING:
                self._find(f"hides which attribute of {_shown(owner)} it takes", node)

    def _compare(self, node: Any, scope: Scope) -> None:
        sides = [node.left, *node.comparators]
        texts = [text for side in sides for text in self._evaluator.texts(side, scope)]
        paths = [path for side in sides for path in self._evaluator.paths(side, scope)]
        asked = [text for text in texts if "pytest" in text or text == "unittest"]
        if {"os.getpid()", "posix.getpid()", "os.getppid()"} & set(paths):
            self._find("tells processes apart: getpid", node)
        if "os.environ" in paths:
            self._asked.update(texts)
        known = ("sys.modules", "sys.argv", "sys.orig_argv", "os.environ")
        if asked and any(path.startswith(known) for path in paths):
            self._find(f"asks whether {asked[0]} runs", node)
        self._probe(probes.of_compare(node, scope, self._evaluator), node)

    def _condition(self, node: Any, scope: Scope) -> None:
        parts = node.values if isinstance(node, ast.BoolOp) else [node.test]
        for part in parts:
            self._probe(probes.of_condition(part, scope, self._evaluator), node)

    # Loops and definitions

    def _class(self, node: Any, scope: Scope) -> None:
        self._defined(node, scope)
        for text in objects.of_class(node, scope, self._evaluator):
            self._find(text, node)

    def _try(self, node: Any, scope: Scope) -> None:
        for text in objects.of_try(node, scope, self._evaluator):
            self._find(text, node)
        self._probe(probes.of_try(node, scope, self._evaluator), node)

    def _with(self, node: Any, scope: Scope) -> None:
        for text in objects.of_with(node, scope, self._evaluator):
            self._find(text, node)

    def _table(self, node: Any, scope: Scope) -> None:
        """A table of methods, of which `type` makes a class."""
        decisive = rules.COMPARING | rules.PRINTING | rules.LIES
        for key, value in zip(node.keys, node.values):
            if key is not None and not isinstance(value, (ast.Constant, ast.JoinedStr)):
                for name in decisive & set(self._evaluator.texts(key, scope)):
                    self._find(f"puts a method into a table: {name}", node)

    def _match(self, node: Any, scope: Scope) -> None:
        """Patterns that take attributes."""
        subjects = self._evaluator.values(node.subject, scope)
        attributes = [name for part in ast.walk(node) for name in getattr(part, "kwd_attrs", ())]
        for name in attributes:
            if name in rules.FRAMES:
                self._find(f"reads stack frames: {name}", node)
            for value in self._evaluator.attribute(subjects, name):
                if isinstance(value, Thing):
                    self._use(value.path)
        for path in self._evaluator.paths(node.subject, scope):
            if attributes and path in rules.DANGEROUS:
                self._find(f"takes attributes of {_shown(path)} by a pattern", node)

    def _loop(self, node: Any, scope: Scope) -> None:
        self._listed(node.iter, scope)

    def _listed(self, node: ast.AST, scope: Scope) -> None:
        paths = self._evaluator.paths(node, scope)
        if "sys.modules" in paths:
            self._find("searches sys.modules")
        self._probe(probes.of_loop(node, scope, self._evaluator), node)
        if any(path.partition("(")[0] in _VARIABLES for path in paths):
            self._searched.append(node)

    def _defined(self, node: Any, scope: Scope) -> None:
        if rules.is_hook(node.name):
            self._find(f"defines a hook of pytest: {node.name}", node)
        for decorator in node.decorator_list:
            for path in self._evaluator.paths(decorator, scope):
                if path in rules.AT_IMPORT and self._importing.runs(scope):
                    self._find(rules.AT_IMPORT[path], node)

    def _ingredients(self, node: ast.AST, scope: Scope) -> set[str]:
        """What an expression is made of, as far as the file shows: paths, texts (`=…`).

        Names are followed to what the file binds to them, functions to what they return.
        """
        found: set[str] = set()
        waiting: list[Any] = [(node, scope, 0)]
        seen: set[int] = set()
        while waiting and len(seen) < 400:
            part, where, depth = waiting.pop()
            if id(part) in seen:
                continue
            seen.add(id(part))
            if isinstance(part, ast.Constant):
                if isinstance(part.value, str):
                    found.add(f"={part.value[:300]}")
                continue
            if isinstance(part, (ast.BinOp, ast.JoinedStr, ast.Call)):
                found |= {f"={text[:300]}" for text in self._evaluator.texts(part, where)}
            found |= _marks(part)
            if isinstance(part, (ast.Name, ast.Attribute)):
                found |= set(self._evaluator.paths(part, where))
                if depth < 6:
                    waiting += self._sources(part, where, depth + 1)
            waiting += [(child, where, depth) for child in ast.iter_child_nodes(part)]
        return found | {path.partition("[")[0].partition("(")[0] for path in found}

    def _sources(self, part: Any, scope: Scope, depth: int) -> Iterator[Any]:
        """What the file binds to a name; the values that a function returns."""
        name = part.id if isinstance(part, ast.Name) else part.attr
        place: Scope | None = scope
        bindings: list[Binding] = []
        while place is not None and not bindings and isinstance(part, ast.Name):
            bindings = place.names.get(name, [])
            place = place.parent
        for binding in bindings[:12]:
            if binding.kind == "value":
                yield binding.node, binding.scope, depth
            elif binding.kind == "own":
                for value, where in self._layout.returns.get(id(binding.node), ())[:12]:
                    yield value, where, depth


def _marks(node: ast.AST) -> set[str]:
    """Signs of decoding and reading that have no path."""
    if isinstance(node, ast.Attribute):
        if node.attr in rules.READING_ATTRIBUTES:
            return {node.attr}
        return {"builtins.chr"} if node.attr in ("translate", "fromhex", "to_bytes") else set()
    if isinstance(node, ast.BitXor):
        return {"builtins.chr"}
    if isinstance(node, ast.Slice) and isinstance(node.step, ast.UnaryOp):
        return {"builtins.reversed"}
    return set()


def _attribute(path: str, name: str) -> str:
    """An attribute for readers."""
    if path in ("sys.modules[?]", "?module"):
        return f"{name} of {_shown(path)}"
    return f"{path}.{name}"


def _shown(path: str) -> str:
    """A path for readers."""
    return path.replace("sys.modules[?]", "a module of sys.modules").replace("?module", "a module")


class _ImportTime:
    """Which functions run while the module is imported, as far as the file shows."""

    def __init__(self, layout: Layout) -> None:
        self._top = layout.top
        functions: dict[str, list[Any]] = {}
        parents: dict[int, Scope] = {}
        for node, scope, _ in layout.visited:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                functions.setdefault(node.name, []).append(node)
            parents[id(node)] = scope
        self._running: set[int] = {id(layout.top.node)}
        calls: dict[int, set[str]] = {}
        for node, scope, block in layout.visited:
            names = calls.setdefault(id(_function(scope)), set())
            if isinstance(node, ast.Call) and block != "program":
                names.update(_called_names(node))
            elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                names.update(d.id for d in node.decorator_list if isinstance(d, ast.Name))
        waiting = [id(layout.top.node)]
        while waiting:
            for name in calls.get(waiting.pop(), ()):
                for function in functions.get(name, ()):
                    if id(function) not in self._running:
                        self._running.add(id(function))
                        waiting.append(id(function))

    def runs(self, scope: Scope) -> bool:
        """Whether a scope's code runs at import."""
        return id(_function(scope)) in self._running


def _function(scope: Scope) -> ast.AST:
    """The function around a scope, or the module."""
    place = scope
    while place.parent is not None and not isinstance(place.node, FUNCTIONS):
        place = place.parent
    return place.node


_STARTERS = (
    "Thread",
    "Timer",
    "Process",
    "start_new_thread",
    "map",
    "filter",
    "register",
    "submit",
)


def _called_names(node: ast.Call) -> Iterator[str]:
    """The functions that a call runs, by name."""
    name = getattr(node.func, "id", getattr(node.func, "attr", ""))
    yield name
    if name[:1].isupper():
        yield from ("__init__", "__new__", "__post_init__")
    if name in _STARTERS:
        given = [*node.args, *(keyword.value for keyword in node.keywords)]
        yield from (part.id for part in given if isinstance(part, ast.Name))


_VARIABLES = frozenset(
    ["os.environ", "os.environb", *(f"os.environ.{way}" for way in ("keys", "items", "copy"))]
)
_LISTING = frozenset(
    f"builtins.{name}"
    for name in [
        "list",
        "tuple",
        "set",
        "sorted",
        "dict",
        "iter",
        "map",
        "filter",
        "enumerate",
        "any",
        "all",
        "frozenset",
    ]
)
_LOOKS: dict[Any, Look] = {
    ast.Import: SourceFinder._import,
    ast.ImportFrom: SourceFinder._import_from,
    ast.Attribute: SourceFinder._attribute,
    ast.Name: SourceFinder._name,
    ast.Subscript: SourceFinder._subscript,
    ast.Call: SourceFinder._call,
    ast.Constant: SourceFinder._text,
    ast.JoinedStr: SourceFinder._formatted,
    ast.BinOp: SourceFinder._operation,
    ast.Compare: SourceFinder._compare,
    ast.BoolOp: SourceFinder._condition,
    ast.If: SourceFinder._condition,
    ast.IfExp: SourceFinder._condition,
    ast.While: SourceFinder._condition,
    ast.For: SourceFinder._loop,
    ast.AsyncFor: SourceFinder._loop,
    ast.comprehension: SourceFinder._loop,
    ast.FunctionDef: SourceFinder._defined,
    ast.AsyncFunctionDef: SourceFinder._defined,
    ast.ClassDef: SourceFinder._class,
    ast.Try: SourceFinder._try,
    ast.With: SourceFinder._with,
    ast.AsyncWith: SourceFinder._with,
    ast.Dict: SourceFinder._table,
    ast.Assign: SourceFinder._assigned,
    getattr(ast, "TryStar", ast.Try): SourceFinder._try,  # since 3.11
    getattr(ast, "Match", None): SourceFinder._match,  # since 3.10
}
