"""The names in a function: its own variables, their places, and kinds that their uses suggest."""

import libcst as cst

from forager.mutation.candidates import Region

# The fields of nodes that bind a name instead of using it.
BINDINGS: dict[type[cst.CSTNode], str] = {
    cst.AssignTarget: "target",
    cst.AnnAssign: "target",
    cst.AugAssign: "target",
    cst.NamedExpr: "target",
    cst.For: "target",
    cst.CompFor: "target",
    cst.AsName: "name",
    cst.Del: "target",
    cst.Param: "name",
    cst.FunctionDef: "name",
    cst.ClassDef: "name",
    cst.MatchAs: "name",
    cst.MatchStar: "name",
    cst.MatchMapping: "rest",
}

# The fields of nodes whose name is not a variable.
OTHER_NAMES: dict[type[cst.CSTNode], str] = {
    cst.Attribute: "attr",
    cst.Arg: "keyword",
    cst.MatchKeywordElement: "key",
}

# The kind of variable that a use suggests, by the parent node and the field.
USES: dict[tuple[type[cst.CSTNode], str], str] = {
    (cst.Call, "func"): "callable",
    (cst.Attribute, "value"): "object",
    (cst.Subscript, "value"): "container",
    (cst.For, "iter"): "container",
    (cst.CompFor, "iter"): "container",
    (cst.StarredElement, "value"): "container",
    (cst.BinaryOperation, "left"): "number",
    (cst.BinaryOperation, "right"): "number",
    (cst.AugAssign, "target"): "number",
    (cst.AugAssign, "value"): "number",
    (cst.Slice, "lower"): "number",
    (cst.Slice, "upper"): "number",
    (cst.Slice, "step"): "number",
}

# The kind of variable that an assigned value suggests.
VALUES: dict[type[cst.CSTNode], str] = {
    cst.Integer: "number",
    cst.Float: "number",
    cst.SimpleString: "object",
    cst.FormattedString: "object",
    cst.Lambda: "callable",
    cst.List: "container",
    cst.Tuple: "container",
    cst.Dict: "container",
    cst.Set: "container",
    cst.ListComp: "container",
    cst.DictComp: "container",
    cst.SetComp: "container",
}

_ORDERED = (cst.LessThan, cst.LessThanEqual, cst.GreaterThan, cst.GreaterThanEqual)
_DECLARATIONS = (cst.Global, cst.Nonlocal, cst.Import, cst.ImportFrom)
_SCOPES = (cst.FunctionDef, cst.Lambda, cst.ClassDef, cst.BaseComp)
_UNPACKING = (cst.Tuple, cst.List, cst.Element, cst.StarredElement)


class LocalNames:
    """The names in one function."""

    def __init__(self, region: Region, function: cst.FunctionDef) -> None:
        self._region = region
        self.parameters = _parameters(region, function)
        self.uses: list[cst.Name] = []
        self.bindings: list[cst.Name] = []
        # Names that outer or nested scopes also bind.
        self._shared = {"self", "cls"}
        for statement in region.find(*_DECLARATIONS, under=function.body):
            self._shared |= {name.value for name in region.find(cst.Name, under=statement)}
        for name in region.find(cst.Name, under=function.body):
            if _is_field(*_holder(region, name), OTHER_NAMES):
                continue
            if not is_bound(region, name):
                self.uses.append(name)
            elif _is_own(region, function, name):
                self.bindings.append(name)
            else:
                self._shared.add(name.value)

    def variables(self) -> list[str]:
        """The function's own variables, in order of appearance."""
        names = dict.fromkeys([*self.parameters, *(name.value for name in self.bindings)])
        return [name for name in names if name not in self._shared]

    def first_bound(self) -> dict[str, int]:
        """The byte offset from which each variable has a value; -1 for parameters."""
        places = {name.value: _settled(self._region, name) for name in self.bindings[::-1]}
        return places | dict.fromkeys(self.parameters, -1)

    def kinds(self) -> dict[str, set[str]]:
        """The apparent kinds of each variable: callable, container, number, object."""
        found: dict[str, set[str]] = {}
        for name in (*self.uses, *self.bindings):
            found.setdefault(name.value, set()).update(kinds_of(self._region, name))
        return found


def is_bound(region: Region, node: cst.CSTNode) -> bool:
    """Whether a node binds a name or attribute."""
    return _is_field(*_holder(region, node), BINDINGS)


def kinds_of(region: Region, node: cst.CSTNode) -> set[str]:
    """The kinds that one use or binding suggests for a variable or attribute."""
    holder = region.parent(node)
    fields = {field for kind, field in USES if type(holder) is kind}
    kinds = {USES[type(holder), field] for field in fields if getattr(holder, field) is node}
    match holder:
        case cst.AssignTarget():
            assigned = region.parent(holder)
            value = assigned.value if isinstance(assigned, cst.Assign) else None
            kinds |= {VALUES[kind] for kind in VALUES if type(value) is kind}
        case cst.ComparisonTarget(operator=cst.In() | cst.NotIn()):
            kinds |= {"container"}
        case (
            cst.ComparisonTarget(operator=operator)
            | cst.Comparison(comparisons=[cst.ComparisonTarget(operator=operator), *_])
        ) if isinstance(operator, _ORDERED):
            kinds |= {"number"}
        case cst.FunctionDef():
            kinds |= {"callable"}
    return kinds


def alike(kinds: set[str], others: set[str]) -> bool:
    """Whether two variables or attributes may have the same kind, judging by their uses."""
    if ("callable" in kinds) != ("callable" in others):
        return False
    return bool(kinds & others) or not kinds or not others


def _parameters(region: Region, function: cst.FunctionDef) -> dict[str, None]:
    """The parameters' names in order, without those of lambdas in defaults."""
    return {
        param.name.value: None
        for param in region.find(cst.Param, under=function.params)
        if region.parent(param) is function.params
    }


def _settled(region: Region, name: cst.Name) -> int:
    """The byte offset after the bound value: in `b = b`, b has no value on the right."""
    holder, _ = _holder(region, name)
    match holder:
        case cst.For():
            return region.source.extent(holder.iter)[1]
        case cst.AssignTarget():
            return region.source.span(region.parent(holder))[1]
        case cst.AnnAssign() | cst.AugAssign() | cst.NamedExpr():
            return region.source.span(holder)[1]
    return region.source.start(name)


def _holder(region: Region, node: cst.CSTNode) -> tuple[cst.CSTNode, cst.CSTNode]:
    """The node that gives a name its role, and its child: `a, (b, *c) = …` binds all three."""
    held = node
    while isinstance(holder := region.parent(held), _UNPACKING):
        held = holder
    return holder, held


def _is_field(holder: cst.CSTNode, held: cst.CSTNode, table: dict[type[cst.CSTNode], str]) -> bool:
    field = table.get(type(holder))
    return field is not None and getattr(holder, field) is held


def _is_own(region: Region, function: cst.FunctionDef, name: cst.Name) -> bool:
    """Whether the function binds a name itself, not a scope inside it."""
    holder, _ = _holder(region, name)
    while not isinstance(holder, _SCOPES):
        holder = region.parent(holder)
    return holder is function
