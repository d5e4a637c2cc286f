"""Which hyperparameters a submission reads, found by following the argument through its functions.

The argument `hyperparameters` of the four functions is followed through assignments, closures and calls of the
submission's own functions. Where it goes somewhere that cannot be followed, nothing is said about what is unread.
"""

from __future__ import annotations

import ast
import dataclasses
import re
from collections.abc import Iterable
from typing import Literal

from submissions.validation._api import parameter_of
from submissions.validation._source import Function, Module, Source, text_of

ENTRIES = ("init_optimizer_state", "update_params", "prepare_for_eval", "data_selection")
DEPTH = 8  # calls of own functions that are followed, one inside the other
TUPLE_NAMES = ("_asdict", "_replace", "_fields", "_make", "_field_defaults", "count", "index")
HARMLESS_CALLS = ("print", "repr", "str", "type", "isinstance", "id", "bool")


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where a value that holds hyperparameters comes from."""

    kind: Literal["argument", "dict", "namespace"]
    name: str = "hyperparameters"
    keys: tuple[str, ...] = ()
    file: str = ""
    line: int = 0


@dataclasses.dataclass(frozen=True)
class Read:
    """One look at one hyperparameter; `name` may be a regular expression if `pattern`."""

    origin: Origin
    name: str
    how: Literal["attribute", "item", "hasattr", "getattr", "getattr_default", "get"]
    file: str
    line: int
    optional: bool
    pattern: bool = False


class Reads:
    """All reads of a submission, and the origins of which some use could not be followed."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.reads: list[Read] = []
        self.escaped: set[Origin] = set()
        self.seen: set[Origin] = set()
        self._done: set[tuple] = set()
        self._constants: dict[tuple, Origin | None] = {}
        for entry in ENTRIES:
            found = source.function(entry)
            name = parameter_of(found[1], entry, "hyperparameters") if found else None
            if found and name:
                self.follow(found[0], found[1], {name: Origin("argument")}, 0)

    def follow(self, module: Module, function: Function | ast.Lambda, names: dict, depth: int) -> None:
        """Walks a function whose names are bound so; each (function, binding) once."""
        key = (
            id(function),
            tuple(sorted((name, value) for name, value in names.items() if _is_simple(value))),
        )
        if depth > DEPTH or key in self._done:
            return
        self._done.add(key)
        _Walk(self, module, names, depth).run(function)

    def constant(self, module: Module, name: str) -> Origin | None:
        """A module's constant that holds hyperparameters: a dict or SimpleNamespace with literal keys."""
        key = (module.path, name)
        if key not in self._constants:
            self._constants[key] = self._constant(module, name)
        return self._constants[key]

    def _constant(self, module: Module, name: str) -> Origin | None:
        found = self.source.definition(name, module)
        if found is None:
            return None
        owner, value = found
        if isinstance(value, ast.Dict):
            keys = [text_of(key) for key in value.keys]
            if keys and all(key is not None for key in keys):
                return Origin("dict", name, tuple(str(key) for key in keys), owner.name, value.lineno)
        if (
            isinstance(value, ast.Call)
            and ast.unparse(value.func).endswith("SimpleNamespace")
            and value.keywords
        ):
            keys = [keyword.arg for keyword in value.keywords]
            if not value.args and all(keys):
                return Origin("namespace", name, tuple(map(str, keys)), owner.name, value.lineno)
        return None


def _is_simple(value: object) -> bool:
    return isinstance(value, (str, Origin))


class _Walk(ast.NodeVisitor):
    """One function body. `names`: local name -> Origin, or a string constant, or a nested function."""

    def __init__(self, reads: Reads, module: Module, names: dict, depth: int) -> None:
        self.reads, self.module, self.names, self.depth = reads, module, names, depth
        self.optional = 0  # inside a branch that looked at the hyperparameters first

    def run(self, function: Function | ast.Lambda) -> None:
        for statement in function.body if isinstance(function.body, list) else [function.body]:
            self.visit(statement)

    # ---- what a value is ----

    def origin(self, node: ast.AST | None) -> Origin | None:
        if isinstance(node, ast.NamedExpr):
            node = node.value
        if not isinstance(node, ast.Name):
            return None
        if node.id in self.names:
            value = self.names[node.id]
            return value if isinstance(value, Origin) else None
        return self.reads.constant(self.module, node.id) if re.search("(?i)h(yper)?_?par", node.id) else None

    def text(self, node: ast.AST) -> tuple[str, bool] | None:
        """A string that is known, or a regular expression of what is known of it."""
        known = self.names.get(node.id) if isinstance(node, ast.Name) else None
        if isinstance(known, str):
            return known, False
        if isinstance(node, ast.JoinedStr):
            parts, exact = [], True
            for part in node.values:
                inner = self.text(part.value) if isinstance(part, ast.FormattedValue) else self.text(part)
                exact = exact and inner is not None and not inner[1]
                parts.append((re.escape(inner[0]) if not inner[1] else inner[0]) if inner else ".*")
            return ("".join(parts).replace("\\", ""), False) if exact else ("".join(parts), True)
        value = text_of(node)
        return (value, False) if value is not None else None

    def note(self, origin: Origin, name: str, how, node: ast.AST, pattern: bool = False) -> None:
        self.reads.seen.add(origin)
        optional = self.optional > 0
        line = getattr(node, "lineno", 0)
        self.reads.reads.append(Read(origin, name, how, self.module.name, line, optional, pattern))

    def escape(self, node: ast.AST | None) -> bool:
        origin = self.origin(node)
        if origin:
            self.reads.seen.add(origin)
            self.reads.escaped.add(origin)
        return origin is not None

    # ---- expressions ----

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self.escape(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        origin = self.origin(node.value)
        if origin is None:
            self.visit(node.value)
        elif (origin.kind == "dict" and node.attr in dir(dict)) or (
            origin.kind != "dict" and (node.attr in TUPLE_NAMES or node.attr.startswith("__"))
        ):
            self.escape(node.value)
        else:
            self.note(origin, node.attr, "attribute", node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        origin = self.origin(node.value)
        if origin is None:
            self.generic_visit(node)
            return
        key = self.text(node.slice)
        if key:
            self.note(origin, key[0], "item", node, key[1])
        else:
            self.escape(node.value)
            self.visit(node.slice)

    def visit_Compare(self, node: ast.Compare) -> None:
        for operand in [node.left, *node.comparators]:
            origin = self.origin(operand)
            if origin is None:
                self.visit(operand)
        # `name in settings` is a look like hasattr; `hyperparameters is None` is none at all.
        if len(node.ops) == 1 and isinstance(node.ops[0], (ast.In, ast.NotIn)):
            origin, key = self.origin(node.comparators[0]), self.text(node.left)
            if origin and key:
                self.note(origin, key[0], "get", node, key[1])

    def visit_Call(self, node: ast.Call) -> None:
        called = ast.unparse(node.func)
        if called in ("getattr", "hasattr") and len(node.args) >= 2 and self.origin(node.args[0]):
            self._getattr(node, called)
            return
        if isinstance(node.func, ast.Attribute) and node.func.attr == "get":
            origin = self.origin(node.func.value)
            key = self.text(node.args[0]) if node.args else None
            if origin and origin.kind == "dict" and key:
                self.note(origin, key[0], "get", node, key[1])
                for rest in node.args[1:]:
                    self.visit(rest)
                return
        if called in HARMLESS_CALLS or re.match(r"(logging|logger|absl\.logging|log)\.", called):
            for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
                if self.origin(argument) is None:
                    self.visit(argument)
            return
        self._call(node)

    def _getattr(self, node: ast.Call, called: str) -> None:
        origin = self.origin(node.args[0])
        assert origin is not None
        key = self.text(node.args[1])
        how = "hasattr" if called == "hasattr" else "getattr_default" if len(node.args) > 2 else "getattr"
        if key:
            self.note(origin, key[0], how, node, key[1])
        else:
            self.escape(node.args[0])
            self.visit(node.args[1])
        for rest in node.args[2:]:
            self.visit(rest)

    def _call(self, node: ast.Call) -> None:
        function, positional = node.func, list(node.args)
        if ast.unparse(function).rsplit(".", 1)[-1] == "partial" and positional:
            function, positional = positional[0], positional[1:]  # what is bound now is passed later
        own = self._own_function(function)
        holds = [
            argument for argument in [*positional, *(k.value for k in node.keywords)] if self.origin(argument)
        ]
        if own is None:
            self.visit(node.func)
            for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
                self.visit(argument)
            return
        for argument in [*positional, *(keyword.value for keyword in node.keywords)]:
            if self.origin(argument) is None:
                self.visit(argument)
        if not holds and not isinstance(own[2], dict):
            return
        module, callee, closure = own
        bound = dict(closure or {})
        parameters = [a.arg for a in [*callee.args.posonlyargs, *callee.args.args]]
        for name in [*parameters, *(a.arg for a in callee.args.kwonlyargs)]:
            bound.pop(name, None)
        given: list[tuple[str, ast.AST]] = []
        for name, argument in zip(parameters, positional, strict=False):
            if isinstance(argument, ast.Starred):
                break
            given.append((name, argument))
        given += [(keyword.arg, keyword.value) for keyword in node.keywords if keyword.arg]
        known = {name for name, _ in given}
        for name, argument in given:
            origin, text = self.origin(argument), self.text(argument)
            if origin:
                bound[name] = origin
            elif text and not text[1]:
                bound[name] = text[0]
        passed = {id(argument) for _, argument in given}
        accepted = {*parameters, *(a.arg for a in callee.args.kwonlyargs)}
        for argument in holds:
            if id(argument) not in passed or not known <= accepted:
                self.escape(argument)
        self.reads.follow(module, callee, bound, self.depth + 1)

    def _own_function(self, node: ast.AST) -> tuple[Module, Function | ast.Lambda, dict | None] | None:
        if isinstance(node, ast.Name) and isinstance(self.names.get(node.id), tuple):
            return self.names[node.id]
        if isinstance(node, ast.Name) and node.id not in self.names:
            found = self.reads.source.function(node.id, self.module)
            return (found[0], found[1], None) if found else None
        if isinstance(node, ast.Lambda):
            return self.module, node, dict(self.names)
        return None

    # ---- statements ----

    def visit_Assign(self, node: ast.Assign) -> None:
        self._assign(node.targets, node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value:
            self._assign([node.target], node.value)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self._assign([node.target], node.value)

    def _assign(self, targets: Iterable[ast.expr], value: ast.expr) -> None:
        origin = self.origin(value)
        if origin is None and isinstance(value, ast.Name) and value.id not in self.names:
            aliased = any(isinstance(t, ast.Name) and re.search("(?i)h(yper)?_?par", t.id) for t in targets)
            origin = self.reads.constant(self.module, value.id) if aliased else None
        if origin is None:
            self.visit(value)
        else:
            self.reads.seen.add(origin)
        for target in targets:
            if isinstance(target, ast.Name):
                text = self.text(value)
                # A name bound to something else shadows what it stood for outside.
                self.names[target.id] = origin or (text[0] if text and not text[1] else None)
            else:
                if origin:
                    self.escape(value)
                for inner in ast.walk(target):
                    if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
                        self.names[inner.id] = None
                    elif isinstance(inner, ast.Name) and self.origin(inner):
                        self.escape(inner)

    def visit_For(self, node: ast.For) -> None:
        self.visit(node.iter)
        for inner in ast.walk(node.target):
            if isinstance(inner, ast.Name):
                self.names[inner.id] = None
        for statement in [*node.body, *node.orelse]:
            self.visit(statement)

    def visit_Delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            if isinstance(target, ast.Name):
                self.names[target.id] = None
            else:
                self.visit(target)

    def visit_If(self, node: ast.If | ast.IfExp) -> None:
        self.visit(node.test)
        looked = any(self.origin(inner) is not None for inner in ast.walk(node.test))
        self.optional += looked
        body = node.body if isinstance(node.body, list) else [node.body]
        orelse = node.orelse if isinstance(node.orelse, list) else [node.orelse]
        before = dict(self.names)
        for statement in body:
            self.visit(statement)
        after = self.names
        self.names = before
        for statement in orelse:
            self.visit(statement)
        # Whichever branch was taken, a name that still may hold the hyperparameters is followed; one that may hold
        # either of two sources is not.
        merged = {}
        for name in after.keys() | self.names.keys():
            one, other = after.get(name), self.names.get(name)
            merged[name] = one or other
            if isinstance(one, Origin) and isinstance(other, Origin) and one != other:
                self.reads.seen |= {one, other}
                self.reads.escaped |= {one, other}
                merged[name] = None
        self.names = merged
        self.optional -= looked

    visit_IfExp = visit_If

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        looked = any(self.origin(inner) is not None for inner in ast.walk(node.values[0]))
        self.visit(node.values[0]) if self.origin(node.values[0]) is None else self.escape(node.values[0])
        self.optional += looked
        for value in node.values[1:]:
            self.visit(value)
        self.optional -= looked

    def visit_Try(self, node: ast.Try) -> None:
        self.optional += 1
        for statement in node.body:
            self.visit(statement)
        self.optional -= 1
        for handler in node.handlers:
            for statement in handler.body:
                self.visit(statement)
        for statement in [*node.orelse, *node.finalbody]:
            self.visit(statement)

    def visit_FunctionDef(self, node: Function) -> None:
        closure = dict(self.names)
        self.names[node.name] = (self.module, node, closure)
        for default in [*node.args.defaults, *(d for d in node.args.kw_defaults if d)]:
            self.visit(default)
        # Its body is walked here too, for what it takes from around it: who calls it may be out of sight.
        inner = dict(closure)
        for argument in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]:
            inner[argument.arg] = None
        self.reads.follow(self.module, node, inner, self.depth + 1)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        inner = dict(self.names)
        for argument in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]:
            inner[argument.arg] = None
        self.reads.follow(self.module, node, inner, self.depth + 1)
