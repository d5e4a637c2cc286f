"""The rules that keep the benchmark fair: no telling workloads apart, no test data, no change of the model."""

from __future__ import annotations

import ast
import re

from submissions.validation._source import Function, Module, Source, dotted_name, text_of
from submissions.validation._workload_names import FACTS, FINGERPRINTS, NAMES
from submissions.validation.findings import Finding

MAY_SEE_NAMES = ("get_batch_size", "get_eval_batch_size")
TRAINS = ("init_optimizer_state", "update_params", "prepare_for_eval", "data_selection")
FORBIDDEN_METHODS = (
    "_build_input_queue",
    "_build_dataset",
    "_eval_model_on_split",
    "_eval_batch",
    "_eval_metric",
)
TEST_FACTS = ("test_target_value", "has_reached_test_target")
PLAIN_CLASSES = (
    "Workload",
    "spec.Workload",
    "algoperf.spec.Workload",
    "algorithmic_efficiency.spec.Workload",
)


def fairness_findings(source: Source) -> list[Finding]:
    """What tells workloads apart, looks at test data, or changes the model."""
    innocent = _only_reached_from(source)
    findings: list[Finding] = []
    for module in source.modules.values():
        visitor = _Fairness(module, innocent)
        visitor.visit(module.tree)
        findings += visitor.findings
    return [*findings, *_frozen_statistics(source)]


def _only_reached_from(source: Source) -> set[int]:
    """Functions and constants that serve get_batch_size alone: there, the workload's name is meant to be seen."""
    may, trains = _reached(source, MAY_SEE_NAMES), _reached(source, TRAINS)
    return may - trains


def _reached(source: Source, entries: tuple[str, ...]) -> set[int]:
    reached: set[int] = set()
    waiting = [(source.main, source.definition(entry)) for entry in entries]
    while waiting:
        _, found = waiting.pop()
        if found is None or id(found[1]) in reached:
            continue
        module, node = found
        reached.add(id(node))
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name):
                waiting.append((module, source.definition(inner.id, module)))
    return reached


class _Fairness(ast.NodeVisitor):
    def __init__(self, module: Module, innocent: set[int]) -> None:
        self.module, self.innocent = module, innocent
        self.findings: list[Finding] = []
        self.in_batch_size = False
        self.in_main = False
        self.function = ""

    def add(self, code: str, message: str, node: ast.AST) -> None:
        self.findings.append(Finding(code, message, self.module.name, getattr(node, "lineno", 0)))

    def visit_FunctionDef(self, node: Function) -> None:
        outer = self.in_batch_size, self.function
        self.in_batch_size = self.in_batch_size or id(node) in self.innocent
        self.function = self.function or node.name
        if self.in_batch_size:
            self._stored_name(node)
        self.generic_visit(node)
        self.in_batch_size, self.function = outer

    visit_AsyncFunctionDef = visit_FunctionDef

    def _stored_name(self, node: Function) -> None:
        kept = {name for inner in ast.walk(node) if isinstance(inner, ast.Global) for name in inner.names}
        for inner in ast.walk(node):
            if isinstance(inner, ast.Assign) and any(
                isinstance(t, ast.Name) and t.id in kept for t in inner.targets
            ):
                self.add(
                    "R505", f"{node.name} keeps what it learnt from the name in a global variable", inner
                )

    # ---- telling workloads apart ----

    def visit_Compare(self, node: ast.Compare) -> None:
        operands = [node.left, *node.comparators]
        equality = all(isinstance(op, (ast.Eq, ast.NotEq, ast.In, ast.NotIn)) for op in node.ops)
        if equality and not self.in_batch_size:
            for literal in _literals(operands):
                if isinstance(literal, str) and literal.lower() in NAMES and _about_names(operands):
                    self.add("R505", f"compares with {literal!r}", node)
                    break
        if equality:
            self._fingerprint(node, operands)
        self.generic_visit(node)

    def _fingerprint(self, node: ast.Compare, operands: list[ast.expr]) -> None:
        numbers = [
            value
            for value in _literals(operands)
            if isinstance(value, (int, float)) and not isinstance(value, bool) and value not in (0, 1, -1)
        ]
        fact = next((_fact(operand) for operand in operands if _fact(operand)), "")
        known = next((number for number in numbers if number in FINGERPRINTS), None)
        if fact and numbers:
            self.add("R506", f"compares workload.{fact} with {numbers[0]}", node)
        elif known is not None:
            self.add("R506", f"compares with {known}, a number of one AlgoPerf workload", node)

    def visit_Match(self, node: ast.Match) -> None:
        for case in node.cases:
            for inner in ast.walk(case.pattern):
                text = text_of(inner.value) if isinstance(inner, ast.MatchValue) else None
                if text and text.lower() in NAMES and not self.in_batch_size:
                    self.add("R505", f"matches {text!r}", inner)
        self.generic_visit(node)

    def visit_Dict(self, node: ast.Dict) -> None:
        names = [text_of(key) for key in node.keys if key is not None]
        known = [name for name in names if name and name.lower() in NAMES]
        # Module-level tables are innocent if get_batch_size alone reads them, and unread ones do nothing.
        inside = self.function and not self.in_batch_size
        if len(known) >= 2 and (
            inside or (not self.function and id(node) not in self.innocent and self._is_read(node))
        ):
            self.add("R505", f"a table by workload: {', '.join(known[:3])}", node)
        self.generic_visit(node)

    def _is_read(self, node: ast.Dict) -> bool:
        for statement in self.module.tree.body:
            if isinstance(statement, ast.Assign) and statement.value is node:
                names = {target.id for target in statement.targets if isinstance(target, ast.Name)}
                return any(
                    isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load) and n.id in names
                    for n in ast.walk(self.module.tree)
                )
        return True

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if isinstance(node.value, (ast.Name, ast.Dict)) and _fact(node.slice):
            self.add("R506", f"looks up {ast.unparse(node)}", node)
        text = text_of(node.slice)
        if text and re.match(r"test/", text) and isinstance(node.ctx, ast.Load):
            self.add("R508", f"reads {text!r}", node)
        if isinstance(node.ctx, ast.Store) and text == "batch_stats" and self.function != "prepare_for_eval":
            self.add("R512", f"{ast.unparse(node)} = ...", node)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        called = dotted_name(node.func)
        first = node.args[0] if node.args else None
        if called == "isinstance" and _is_workload(first) and len(node.args) > 1:
            classes = node.args[1].elts if isinstance(node.args[1], ast.Tuple) else [node.args[1]]
            other = [c for c in classes if dotted_name(c) not in PLAIN_CLASSES]
            if other:
                self.add("R506", f"isinstance(workload, {ast.unparse(other[0])})", node)
        elif called == "type" and _is_workload(first) and len(node.args) == 1:
            self.add("R506", "type(workload)", node)
        elif called in ("setattr", "delattr") and _is_workload(first):
            self.add("R510", f"{called}(workload, ...)", node)
        if isinstance(node.func, ast.Attribute):
            self._method(node, node.func)
        self.generic_visit(node)

    def _method(self, node: ast.Call, function: ast.Attribute) -> None:
        name = function.attr
        if name in FORBIDDEN_METHODS and _is_workload(function.value):
            self.add("R507", f"workload.{name}(...)", node)
        elif name == "eval_model" and _is_workload(function.value):
            self.add("R509", "workload.eval_model(...)", node)
        elif name == "get" and node.args and re.match(r"test/", text_of(node.args[0]) or ""):
            self.add("R508", f"reads {text_of(node.args[0])!r}", node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if _is_workload(node.value):
            name = node.attr
            if isinstance(node.ctx, (ast.Store, ast.Del)):
                self.add("R510", f"workload.{name} = ...", node)
            elif name in ("__class__", "__module__", "__dict__"):
                self.add("R506", f"workload.{name}", node)
            elif name in TEST_FACTS:
                self.add("R508", f"workload.{name}", node)
            elif name.startswith("_") and name not in FORBIDDEN_METHODS and not name.startswith("__"):
                self.add("R511", f"workload.{name}", node)
        self.generic_visit(node)

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test).replace('"', "'") != "__name__ == '__main__'":
            self.generic_visit(node)


def _literals(operands: list[ast.expr]) -> list[object]:
    values = []
    for operand in operands:
        elements = operand.elts if isinstance(operand, (ast.Tuple, ast.List, ast.Set)) else [operand]
        values += [element.value for element in elements if isinstance(element, ast.Constant)]
    return values


def _about_names(operands: list[ast.expr]) -> bool:
    """Whether the other side speaks of a workload or a name, not of a parameter's path or a batch's key."""
    written = " ".join(
        ast.unparse(operand).lower() for operand in operands if not isinstance(operand, ast.Constant)
    )
    return "workload" in written or "dataset" in written or re.search(r"\bname\b", written) is not None


def _is_workload(node: ast.AST | None) -> bool:
    name = dotted_name(node) if node is not None else ""
    return name.rsplit(".", 1)[-1] in ("workload", "_workload")


def _fact(node: ast.AST) -> str:
    """The property of `workload.property`; empty if it is none, or not one that tells workloads apart."""
    if isinstance(node, ast.Attribute) and node.attr in FACTS and _is_workload(node.value):
        return node.attr
    return ""


def _frozen_statistics(source: Source) -> list[Finding]:
    """Training passes none of which updates batch-norm statistics, or none of which is in training mode."""
    calls = []
    for module in source.modules.values():
        for node in ast.walk(module.tree):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "model_fn"
            ):
                calls.append((module, node))
    if not calls:
        return []
    findings = []
    updates = [_argument(call, "update_batch_norm", 5) for _, call in calls]
    if all(isinstance(value, ast.Constant) and value.value is False for value in updates):
        module, call = calls[0]
        findings.append(Finding("R513", "update_batch_norm is False in every pass", module.name, call.lineno))
    modes = [_argument(call, "mode", 3) for _, call in calls]
    if all(mode is not None and dotted_name(mode).endswith("ForwardPassMode.EVAL") for mode in modes):
        module, call = calls[0]
        findings.append(Finding("R513", "every pass is in evaluation mode", module.name, call.lineno))
    return findings


def _argument(call: ast.Call, name: str, place: int) -> ast.expr | None:
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    return call.args[place] if len(call.args) > place else None
