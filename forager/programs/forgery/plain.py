"""A first look: whether everything that a patch adds to a file is plain code.

Plain code computes with names of its file, with harmless builtins and with modules that only
compute. Unknown is not plain. This module imports nothing else of the package: Python compiles
the modules anew for each answer, and most answers need no further look. `typing` takes time too.
"""

from __future__ import annotations

import ast
import builtins
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_BUILTINS = _words(
    """
    len min max sum sorted range int str float complex bool bytes list dict tuple set frozenset
    abs any all zip enumerate map filter reversed isinstance issubclass repr round divmod pow
    iter next print callable hasattr hash slice super NotImplemented
    """
)
_RISKY_BUILTINS = frozenset(dir(builtins)) - _BUILTINS
_LEADING = frozenset(["__import__", "globals", "locals", "vars", "eval", "open", "__builtins__"])
"""Builtins whose results may be modules, namespaces or files."""
_MODULES = _words(
    """
    __future__ abc array bisect calendar cmath collections copy dataclasses datetime decimal
    enum fractions functools heapq itertools json math numbers operator random re statistics
    string textwrap time typing typing_extensions unicodedata zoneinfo
    """
)
_RISKY = _words(
    """
    sys os builtins gc inspect importlib ctypes types threading signal unittest pytest marshal
    posix mock attrgetter methodcaller cell_contents func_code from_address modules environ
    getenv meta_path path_hooks chdir fchdir mro f_back f_globals f_locals f_builtins f_trace
    tb_frame gi_frame cr_frame ag_frame gi_code cr_code ag_code co_code co_consts open read_text
    read_bytes write_text write_bytes exists is_file isfile stat glob rglob iterdir listdir walk
    scandir format_map pytest_plugins f_code f_lineno findCaller _source_traceback get_field _sys
    _gc
    """
)
"""Attributes and imported names that lead out of what only computes."""
_NODES = _words(
    """
    Expr Assign AugAssign AnnAssign Return Raise If For While Break Continue Pass Assert
    FunctionDef arguments arg Lambda keyword Starred Load Store BoolOp BinOp UnaryOp Compare
    Call IfExp NamedExpr Name Attribute Subscript Slice Index ExtSlice Constant FormattedValue
    JoinedStr Tuple List Set Dict ListComp SetComp DictComp GeneratorExp comprehension
    Import ImportFrom alias
    """
) | {
    kind.__name__
    for base in (ast.operator, ast.unaryop, ast.boolop, ast.cmpop)
    for kind in base.__subclasses__()
}
_TEXT = re.compile(
    r"pytest|unittest|^_|__|proc/|test|golden|expected|snapshot|fixture|\.py|tmp|coding|^co_"
    rf"|^(?:{'|'.join(sorted(_RISKY))})$",
    re.IGNORECASE,
)
_RUNNING = re.compile(
    rb"\b(?:exec|eval|import_module|__import__|getattr|setattr|delattr|globals|locals|vars|modules"
    rb"|environ|getenv|attrgetter|methodcaller|resolve_name|__dict__|loads|open|Path)\b"
)
"""What may turn a text into code, a module or a file."""
_METHODS = _words(
    """
    __init__ __call__ __iter__ __next__ __getitem__ __setitem__ __add__ __radd__ __mul__ __neg__
    __post_init__ __reversed__
    """
)
_BODIES = {
    "FunctionDef": ("body",),
    "AsyncFunctionDef": ("body",),
    "ClassDef": ("body",),
    "If": ("body", "orelse"),
    "For": ("body", "orelse"),
    "While": ("body", "orelse"),
    "With": ("body",),
    "Try": ("body", "orelse", "finalbody"),
}
_MAY_CHANGE = ("FunctionDef", "If", "For", "While")  # whose heads may change
_IMPORTS = {ast.Import, ast.ImportFrom}
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_SCOPES = (
    *_FUNCTIONS,
    ast.ClassDef,
    ast.Lambda,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
)


class _NotPlain(Exception):
    """Something takes a closer look."""


def is_plain(path: str, before: bytes, after: bytes) -> bool:
    """Whether all that the later version of a module adds to the earlier one is plain."""
    for data in (before, after):
        head = data.split(b"\n", 2)[:2]
        if b"\r" in data or b"\f" in data or data[:1] >= b"\x80" or b"coding" in b"".join(head):
            return False  # lines and columns would not be those of the syntax tree
    try:
        old, new = ast.parse(before), ast.parse(after)
        added = list(_Comparison(before, after).added(old.body, new.body, old))
        if not added:
            return True
        names = _Names(new.body, _package(path))
        texts = [text for node, function in added for text in names.texts(node, function)]
    except (SyntaxError, ValueError, RecursionError, MemoryError, _NotPlain):
        return False
    return not any(map(_TEXT.search, texts)) and not (texts and _RUNNING.search(after))


def _computes(node: Any) -> bool:
    """Whether an import binds nothing but modules that compute, or names of one, as they are."""
    names = {alias.name for alias in node.names}
    if any(alias.asname for alias in node.names):
        return False
    if isinstance(node, ast.Import):
        return names <= _MODULES
    plain = not any(name.startswith(("_", "*")) or name in _RISKY | _MODULES for name in names)
    return plain and not node.level and node.module in _MODULES


def _package(path: str) -> str:
    parts = path.split("/")
    while parts[0] in ("src", "lib", "python") and len(parts) > 1:
        parts.pop(0)
    return parts[0] if len(parts) > 1 else ""


class _Comparison:
    """Finds the innermost statements and expressions that are new, each with its function."""

    def __init__(self, before: bytes, after: bytes) -> None:
        self._before, self._after = before.split(b"\n"), after.split(b"\n")

    def added(
        self, old: list[Any], new: list[Any], owner: Any, function: Any = None
    ) -> Iterator[tuple[ast.AST, Any]]:
        """What a block adds to its earlier version. Raises _NotPlain."""
        gone: dict[Any, list[Any]] = {}
        for statement in old:
            gone.setdefault(_segment(statement, self._before), []).append(statement)
        changed = [s for s in new if not _take(gone, _segment(s, self._after))]
        left: dict[Any, list[Any]] = {}
        for statements in gone.values():
            for statement in statements:
                left.setdefault(_kind(statement), []).append(statement)
        for statement in changed:
            earlier = _take(left, _kind(statement))
            if earlier is None or type(statement).__name__ not in _BODIES:
                yield statement, function
            else:
                yield from self._inside(earlier, statement, function)
        rest = {type(statement) for statements in left.values() for statement in statements}
        if rest & _IMPORTS or (rest and isinstance(owner, ast.Module)):
            raise _NotPlain  # without them, what remains may mean something else

    def _inside(self, old: Any, new: Any, function: Any) -> Iterator[tuple[ast.AST, Any]]:
        kind, name = type(new).__name__, getattr(new, "name", "")
        inner = new if isinstance(new, _FUNCTIONS) else None if kind == "ClassDef" else function
        if name.startswith("__") and name not in _METHODS and kind == "FunctionDef":
            raise _NotPlain
        for field in new._fields:
            if field in _BODIES[kind]:
                yield from self.added(getattr(old, field), getattr(new, field), new, inner)
            elif field == "handlers" and _alike(old, new):
                for before, after in zip(old.handlers, new.handlers):
                    yield from self.added(before.body, after.body, after, inner)
            elif not _same(getattr(old, field), getattr(new, field)):
                if kind not in _MAY_CHANGE or field in ("decorator_list", "type_params"):
                    raise _NotPlain
                yield getattr(new, field), function


def _alike(old: Any, new: Any) -> bool:
    """Whether two versions of a `try` handle the same errors, and none of a `with` block."""
    yields = any(isinstance(part, (ast.Yield, ast.YieldFrom)) for part in ast.walk(new))
    types = [[handler.type for handler in version.handlers] for version in (old, new)]
    return not yields and _same(*types)


def _same(old: Any, new: Any) -> bool:
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(_same, old, new))
    if isinstance(old, ast.AST) and isinstance(new, ast.AST):
        return ast.dump(old) == ast.dump(new)
    return bool(old == new)


def _take(pool: dict[Any, list[Any]], key: Any) -> Any:
    return pool[key].pop(0) if pool.get(key) else None


def _kind(statement: Any) -> tuple[str, str]:
    return type(statement).__name__, getattr(statement, "name", "")


def _segment(statement: Any, lines: list[bytes]) -> tuple[int, bytes]:
    """The column and the source text of a statement."""
    decorators = getattr(statement, "decorator_list", None)
    first = min([statement.lineno, *(decorator.lineno for decorator in decorators or ())])
    column = statement.col_offset
    part = lines[first - 1 : statement.end_lineno]
    part[-1] = part[-1][: statement.end_col_offset]
    part[0] = part[0][column:]
    return column, b"\n".join(part)


def _stored(function: Any) -> Iterator[str]:
    """The names to which a function itself assigns; not those of functions in it."""
    waiting: list[Any] = list(function.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        if not isinstance(node, _SCOPES):
            waiting += ast.iter_child_nodes(node)


class _Names:
    """What the names of some statements stand for. `package` is that of their file."""

    def __init__(self, statements: list[Any], package: str) -> None:
        self._package = package
        self._risky: set[str] = set(_LEADING)
        self._modules: set[str] = set()
        self._values: dict[str, list[ast.AST]] = {}
        waiting = list(statements)
        while waiting:
            statement = waiting.pop()
            self._bind(statement)
            for field in ("body", "orelse", "finalbody", "handlers", "cases"):
                waiting += getattr(statement, field, ())

    def _bind(self, node: Any) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                self._import(alias.asname or alias.name.partition(".")[0], alias.name, 0)
                self._modules.add(alias.asname or alias.name.partition(".")[0])
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                self._import(alias.asname or alias.name, node.module or "", node.level)
                if alias.name in _RISKY or alias.name in _MODULES:
                    self._risky.add(alias.asname or alias.name)
        elif isinstance(node, _FUNCTIONS):
            arguments = node.args
            named = [*arguments.posonlyargs, *arguments.args][::-1]
            pairs = [*zip(named, arguments.defaults[::-1])]
            pairs += zip(arguments.kwonlyargs, arguments.kw_defaults)  # type: ignore[arg-type]
            for argument, default in pairs:
                self._assign(argument.arg, default)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                self._target(target, node.value)
        elif isinstance(node, (ast.AugAssign, ast.AnnAssign)):
            self._target(node.target, node.value)
        elif isinstance(node, (ast.For, ast.AsyncFor)):
            self._target(node.target, node.iter)
        elif isinstance(node, (ast.With, ast.AsyncWith)):
            for item in node.items:
                if item.optional_vars is not None:
                    self._target(item.optional_vars, item.context_expr)

    def _import(self, name: str, module: str, level: int) -> None:
        root = module.partition(".")[0]
        if not (level or root in _MODULES or (root and root == self._package)):
            self._risky.add(name)

    def _target(self, target: ast.AST, value: ast.AST | None) -> None:
        for part in ast.walk(target):
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                self._assign(part.id, value)

    def _assign(self, name: str, value: ast.AST | None) -> None:
        if value is not None:
            self._values.setdefault(name, []).append(value)

    def _own(self, function: Any) -> dict[str, list[ast.AST]]:
        """The values of a function's own names: no other function gives them one."""
        if function is None:
            return {}
        values = _Names([function], self._package)._values
        own = {part.arg for part in ast.walk(function.args) if isinstance(part, ast.arg)}
        own |= set(values) & set(_stored(function))
        for part in ast.walk(function):
            if isinstance(part, (ast.Global, ast.Nonlocal)):
                own -= set(part.names)
        return {name: values.get(name, []) for name in own}

    def texts(self, node: ast.AST, function: Any = None) -> list[str]:
        """The texts in code added to a function, if it is plain. Raises _NotPlain."""
        found: list[str] = []
        values = {**self._values, **self._own(function)}
        owners: set[int] = set()  # names of which an attribute is taken
        raised: set[int] = set()
        for part in ast.walk(node):
            if type(part).__name__ not in _NODES:
                raise _NotPlain
            if isinstance(part, ast.Attribute):
                owners.add(id(part.value))
                self._attribute(part)
            elif isinstance(part, ast.Raise):
                raised |= {id(part.exc), id(getattr(part.exc, "func", None))}
            elif isinstance(part, ast.Name) and id(part) not in raised:
                self._name(part, id(part) in owners, values)
            elif isinstance(part, ast.FunctionDef):
                if part.decorator_list or part.name.startswith(("__", "pytest", "test")):
                    raise _NotPlain
            elif isinstance(part, (ast.Import, ast.ImportFrom)):
                if not _computes(part):
                    raise _NotPlain
            elif isinstance(part, ast.keyword) and (part.arg or "").startswith(("co_", "__")):
                raise _NotPlain
            elif isinstance(part, ast.Constant) and isinstance(part.value, (str, bytes)):
                value = part.value
                found.append(value if isinstance(value, str) else value.decode("latin-1"))
        return found

    def _attribute(self, node: ast.Attribute) -> None:
        if node.attr.startswith("__") or node.attr in _RISKY:
            raise _NotPlain
        if not isinstance(node.ctx, ast.Load) and getattr(node.value, "id", "") != "self":
            raise _NotPlain

    def _name(self, node: ast.Name, owns: bool, values: dict[str, list[ast.AST]]) -> None:
        name = node.id
        if name in ("__all__", "__name__", "__version__"):
            return
        if name.startswith("__") or name in self._risky | _RISKY | _RISKY_BUILTINS:
            raise _NotPlain
        if name in self._modules and not owns:
            raise _NotPlain
        for value in values.get(name, ()):
            if isinstance(value, ast.Name) and value.id in self._modules:
                raise _NotPlain
            names = {part.id for part in ast.walk(value) if isinstance(part, ast.Name)}
            parts = {part.attr for part in ast.walk(value) if isinstance(part, ast.Attribute)}
            if names & self._risky or parts & _RISKY:
                raise _NotPlain
