"""Habits that reach out of the submission: files, network, threads, clocks, generators, global settings."""

from __future__ import annotations

import ast
import re

from submissions.validation._source import Function, Module, Source, dotted_name, text_of
from submissions.validation.findings import Finding

# Full names of calls, after imports have been resolved: `from time import time as now` is time.time too.
FILE_CALLS = re.compile(
    r"open|io\.open|os\.(open|listdir|scandir|walk|remove|unlink|mkdir|makedirs|rmdir|rename|replace|symlink|link|chmod|truncate|mkfifo)"
    r"|shutil\.\w+|glob\.i?glob"
    r"|(numpy|jax\.numpy)\.(load|save|savez|savez_compressed|loadtxt|savetxt|fromfile|memmap|genfromtxt)"
    r"|(pickle|joblib|dill|cloudpickle)\.(load|dump)|(pandas|polars)\.(read|scan)_\w+|h5py\.File"
    r"|tensorflow\.io\.\w+\.\w+|tensorflow\.io\.read_file|flax\.training\.checkpoints\.\w+|orbax\.\w+(\.\w+)*"
)
FILE_METHODS = frozenset({"read_text", "read_bytes", "write_text", "write_bytes", "iterdir", "rglob"})
NETWORK = re.compile(
    r"(socket|urllib|urllib3|requests|httpx|aiohttp|ftplib|smtplib|telnetlib|paramiko|boto3|gcsfs|s3fs|wandb|mlflow"
    r"|huggingface_hub|http\.client|http\.server|google\.cloud|xmlrpc)(\.\w+)+"
)
OTHER_PROGRAMS = re.compile(
    r"subprocess\.\w+|os\.(system|popen|fork|forkpty|spawn\w+|exec\w+|posix_spawn)|pty\.spawn|threading\.(Thread|Timer)"
    r"|_thread\.start_new_thread|multiprocessing\.(Process|Pool|Manager|pool\.\w+)|asyncio\.run|ray\.\w+"
    r"|concurrent\.futures\.(Thread|Process)PoolExecutor"
)
CLOCKS = re.compile(
    r"time\.(time|time_ns|perf_counter|perf_counter_ns|monotonic|monotonic_ns|process_time|localtime|gmtime|ctime)"
    r"|datetime\.(datetime\.)?(now|utcnow|today)|datetime\.date\.today|timeit\.default_timer"
)
# numpy.random's module functions and Python's share one generator, which nothing seeds per run.
GENERATORS = re.compile(
    r"numpy\.random\.(rand|randn|randint|random|random_sample|normal|uniform|choice|shuffle|permutation|seed|beta|gamma"
    r"|exponential|standard_normal|binomial|poisson)"
    r"|random\.(random|randint|randrange|uniform|gauss|choice|choices|shuffle|sample|seed|normalvariate|betavariate)"
    r"|secrets\.\w+|os\.urandom|uuid\.uuid[14]"
)
SEEDABLE = re.compile(
    r"numpy\.random\.(default_rng|RandomState|SeedSequence|PCG64)|random\.(Random|SystemRandom)"
)
ENVIRONMENT_CALLS = re.compile(r"os\.(putenv|unsetenv|environ\.(update|setdefault|pop|clear|__setitem__))")
JAX_SETTINGS = re.compile(r"jax\.config\.(update|parse_flags_with_absl)|jax\.config\.config\.update")
# What reaches the process itself: native code, its end, its signals, its memory.
REACHES = re.compile(
    r"(ctypes|cffi|_cffi_backend|_ctypes|_posixsubprocess)(\.\w+)+|numpy\.ctypeslib\.load_library|atexit\.\w+"
    r"|signal\.\w+|gc\.get_(objects|referrers|referents)|sys\.(exit|settrace|setprofile|addaudithook)|marshal\.loads?"
    r"|os\.(_exit|abort|kill|killpg|memfd_create)|importlib\.machinery\.ExtensionFileLoader|types\.CodeType"
)
LIBRARIES = frozenset({
    "jax", "jaxlib", "flax", "optax", "chex", "numpy", "scipy", "algoperf", "algorithmic_efficiency", "tensorflow",
    "torch",
})  # fmt: skip


def habit_findings(source: Source) -> list[Finding]:
    """Forbidden or doubtful habits of every file that belongs to the submission."""
    findings: list[Finding] = []
    for module in source.modules.values():
        visitor = _Habits(module)
        visitor.visit(module.tree)
        findings += visitor.findings
    return findings


class _Habits(ast.NodeVisitor):
    def __init__(self, module: Module) -> None:
        self.module = module
        self.findings: list[Finding] = []
        self.full = _imported_names(module.tree)  # local name -> full dotted name
        # Assignments to a module's attribute inside `if __name__ == "__main__"` never run under AlgoPerf.
        self.globals: list[set[str]] = []
        self.local: list[set[str]] = []

    def add(self, code: str, message: str, node: ast.AST) -> None:
        self.findings.append(Finding(code, message, self.module.name, getattr(node, "lineno", 0)))

    def name(self, node: ast.AST) -> str:
        """The full name of what is called; empty where the first part is a local variable or unknown."""
        dotted = dotted_name(node)
        first, _, rest = dotted.partition(".")
        if any(first in names for names in self.local):
            return ""
        if first in self.full:
            return f"{self.full[first]}.{rest}".strip(".")
        return "open" if dotted == "open" else ""

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test).replace('"', "'") == "__name__ == '__main__'":
            return
        self.generic_visit(node)

    def visit_FunctionDef(self, node: Function) -> None:
        arguments = node.args
        names = {a.arg for a in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]}
        self.local.append(names)
        self.globals.append(
            {name for inner in ast.walk(node) if isinstance(inner, ast.Global) for name in inner.names}
        )
        self.generic_visit(node)
        self.globals.pop()
        self.local.pop()

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Call(self, node: ast.Call) -> None:
        called = self.name(node.func)
        method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        opens = method == "open" and re.search(r"\bPath\(|__file__", ast.unparse(node.func))
        if re.fullmatch(FILE_CALLS, called) or (not called and (opens or method in FILE_METHODS)):
            self._file(node, called or f".{method}")
        elif re.fullmatch(NETWORK, called):
            self.add("R503", f"{called}(...)", node)
        elif re.fullmatch(OTHER_PROGRAMS, called):
            self.add("R504", f"{called}(...)", node)
        elif re.fullmatch(REACHES, called):
            self.add("R519", f"{called}(...)", node)
        elif re.fullmatch(CLOCKS, called):
            self.add("R514", f"{called}()", node)
        elif re.fullmatch(GENERATORS, called):
            self.add("R515", f"{called}(...)", node)
        elif re.fullmatch(SEEDABLE, called) and not node.args and not node.keywords:
            self.add("R515", f"{called}() without a seed", node)
        elif re.fullmatch(ENVIRONMENT_CALLS, called):
            self.add("R516", f"{called}(...)", node)
        elif re.fullmatch(JAX_SETTINGS, called):
            what = text_of(node.args[0]) if node.args else None
            self.add("R517", f"{called}({what or '...'})", node)
        elif called == "setattr" or (isinstance(node.func, ast.Name) and node.func.id == "setattr"):
            self._setattr(node)
        self.generic_visit(node)

    def _file(self, node: ast.Call, called: str) -> None:
        """An error if the path is plainly elsewhere: absolute, in the home, or relative to the working directory."""
        path = node.args[0] if node.args else None
        if called.startswith(".") and isinstance(node.func, ast.Attribute):
            path = node.func.value
        if path is not None and _is_elsewhere(path):
            self.add("R502", f"{called.lstrip('.')} of {ast.unparse(path)}", node)
        else:
            self.add("R501", f"{called.lstrip('.')}({ast.unparse(path) if path is not None else ''})", node)

    def _setattr(self, node: ast.Call) -> None:
        target = self.name(node.args[0]) if node.args else ""
        if target.split(".")[0] in LIBRARIES:
            self.add("R510", f"setattr({target}, ...)", node)

    def visit_Assign(self, node: ast.Assign) -> None:
        # A function compiled once and kept is no state: losing it costs a compilation and changes no number.
        compiled = re.search(r"\b(jit|pmap)\b", ast.unparse(node.value))
        for target in node.targets:
            if not (compiled and isinstance(target, ast.Name)):
                self._assigned(target, node)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._assigned(node.target, node)
        self.generic_visit(node)

    def visit_Delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            if isinstance(target, ast.Subscript):
                self._assigned(target, node)
        self.generic_visit(node)

    def _assigned(self, target: ast.AST, node: ast.AST) -> None:
        if isinstance(target, (ast.Tuple, ast.List)):
            for inner in target.elts:
                self._assigned(inner, node)
        elif isinstance(target, ast.Subscript) and self.name(target.value) == "os.environ":
            self.add("R516", f"os.environ[{ast.unparse(target.slice)}]", node)
        elif isinstance(target, ast.Attribute):
            name = self.name(target)
            if name.startswith("jax.config."):
                self.add("R517", name, node)
            elif name.split(".")[0] in LIBRARIES:
                self.add("R510", f"{name} = ...", node)
        elif isinstance(target, ast.Name) and self.globals and target.id in self.globals[-1]:
            self.add("R518", f"global {target.id}", node)


def _imported_names(tree: ast.Module) -> dict[str, str]:
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def _is_elsewhere(path: ast.AST) -> bool:
    written = ast.unparse(path)
    if "__file__" in written:
        return False
    if re.search(r"expanduser|\.home\(|getcwd|\.cwd\(|environ|tempfile|gettempdir", written):
        return True
    literals = [text_of(node) for node in ast.walk(path) if text_of(node)]
    names = [node for node in ast.walk(path) if isinstance(node, ast.Name)]
    only_literal = literals and all(node.id in ("Path", "pathlib", "os", "str") for node in names)
    return bool(only_literal) or any(
        str(literal).startswith(("/", "~", "gs://", "http", "s3://")) for literal in literals
    )
