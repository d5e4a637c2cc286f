"""The functions of the submission API: that they exist, and that AlgoPerf can call them."""

from __future__ import annotations

import ast

from submissions.api import loading
from submissions.validation._source import Function, Module, Source, dotted_name
from submissions.validation.findings import Finding

_CALLED = loading.REQUIRED | loading.OPTIONAL
POSITIONAL = {name: given for name, (by_name, given) in _CALLED.items() if not by_name}
KEYWORD = {name: given for name, (by_name, given) in _CALLED.items() if by_name}
OPTIONAL_KEYWORDS = {"update_params": ("train_state",)}  # passed only to those that have it


def parameter_of(function: Function, api: str, wanted: str) -> str | None:
    """How a function of the API calls one of its parameters; None if it has no such one."""
    names = [argument.arg for argument in [*function.args.posonlyargs, *function.args.args]]
    if wanted in names or wanted in [argument.arg for argument in function.args.kwonlyargs]:
        return wanted
    order = POSITIONAL.get(api)
    if order and wanted in order and order.index(wanted) < len(names):
        return names[order.index(wanted)]
    return None


def api_findings(source: Source) -> list[Finding]:
    """Faults of the functions that AlgoPerf calls."""
    if source.main is None:
        return []
    torch = _torch_import(source)
    if torch:
        return [Finding("A203", "imports torch", torch[0].name, torch[1])]
    findings = []
    for name in loading.REQUIRED:
        if not source.binds(name):
            findings.append(Finding("A201", f"{name} is not defined", source.main.name))
    for name in (*POSITIONAL, *KEYWORD):
        found = source.function(name)
        if found and not found[1].decorator_list:  # a decorator may change what it takes
            fault = _signature_fault(found[1], name)
            if fault:
                findings.append(Finding("A202", f"{name}: {fault}", found[0].name, found[1].lineno))
    findings += _old_api(source)
    return findings


def _torch_import(source: Source) -> tuple[Module, int] | None:
    """The first import of torch, unless the file is JAX's all the same."""
    if any(package == "jax" for module in source.modules.values() for package, _ in _packages(module)):
        return None
    for module in source.modules.values():
        for package, line in _packages(module):
            if package == "torch":
                return module, line
    return None


def _packages(module: Module) -> list[tuple[str, int]]:
    found = []
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            found += [(alias.name.split(".")[0], node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.append((node.module.split(".")[0], node.lineno))
    return found


def _signature_fault(function: Function, api: str) -> str:
    """Why AlgoPerf's call would fail; empty if it would not."""
    arguments = function.args
    positional = [argument.arg for argument in [*arguments.posonlyargs, *arguments.args]]
    needed_keywords = [
        argument.arg
        for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if not default
    ]
    without_default = positional[: len(positional) - len(arguments.defaults)]
    if isinstance(function, ast.AsyncFunctionDef):
        return "is asynchronous, and would return a coroutine"
    if api in POSITIONAL:
        given = POSITIONAL[api]
        if needed_keywords:
            return f"needs the keyword {needed_keywords[0]}, which AlgoPerf does not pass"
        if len(positional) < len(given) and not arguments.vararg:
            missing = [name for name in given if name not in positional]
            return f"takes {len(positional)} arguments; AlgoPerf passes {len(given)} ({', '.join(missing)} missing)"
        if len(without_default) > len(given):
            return f"needs {without_default[len(given)]}, which AlgoPerf does not pass"
        for index, name in enumerate(positional[: len(given)]):
            if name in given and name != given[index]:
                return f"has {name} in place {index + 1}, where AlgoPerf passes {given[index]}"
        return ""
    given = KEYWORD[api]
    passed = (*given, *OPTIONAL_KEYWORDS.get(api, ()))
    if arguments.posonlyargs:
        return f"takes {arguments.posonlyargs[0].arg} by position only; AlgoPerf passes keywords"
    accepted = [*positional, *(argument.arg for argument in arguments.kwonlyargs)]
    missing = [name for name in given if name not in accepted]
    if missing and not arguments.kwarg:
        return f"does not take {', '.join(missing)}, which AlgoPerf passes by name"
    extra = [name for name in [*without_default, *needed_keywords] if name not in passed]
    return f"needs {', '.join(extra)}, which AlgoPerf does not pass" if extra else ""


def _old_api(source: Source) -> list[Finding]:
    """The first sign that a submission was written for the API with a device axis."""
    for module in source.modules.values():
        lines = [
            (node.lineno, _old_sign(node))
            for node in ast.walk(module.tree)
            if isinstance(node, (ast.Import, ast.ImportFrom, ast.Call, ast.Attribute)) and _old_sign(node)
        ]
        if lines:
            line, sign = min(lines)
            return [Finding("A204", f"uses {sign}", module.name, line)]
    return []


def _old_sign(node: ast.AST) -> str:
    if isinstance(node, ast.Import):
        return next((a.name for a in node.names if a.name.split(".")[0] == "algorithmic_efficiency"), "")
    if isinstance(node, ast.ImportFrom):
        return (
            "algorithmic_efficiency" if (node.module or "").split(".")[0] == "algorithmic_efficiency" else ""
        )
    if isinstance(node, ast.Attribute):
        name = dotted_name(node)
        return name if name in ("jax.pmap", "jax_utils.replicate", "flax.jax_utils.replicate") else ""
    return ""
