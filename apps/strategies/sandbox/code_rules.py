"""What may stand in a strategy's code, read from its syntax tree: nothing of it is run.

These rules give early and plain messages; the sandbox's boundary does not rely on them.
"""

import ast
from collections.abc import Callable, Iterator
from typing import NamedTuple

from apps.strategies.sandbox.inside.allowed import ALLOWED_MODULES, FORBIDDEN_BUILTINS, is_import_allowed

LARGEST_CODE_BYTES = 100_000
FUNCTION = "target_weights"
PARAMETERS = 2
MOST_FAULTS = 100

ALLOWED_DUNDERS = frozenset({"__init__", "__name__", "__post_init__"})

# Attributes that read or write files, evaluate text, tell the time, or lead to other modules and to frames.
# fmt: off
FORBIDDEN_ATTRIBUTES = frozenset({
    "DataSource", "builtins", "core", "ctypes", "ctypeslib", "eval", "f2py", "fromfile", "genfromtxt", "gc",
    "importlib", "inspect", "io", "load", "loadtxt", "memmap", "modules", "open_memmap", "os", "query",
    "save", "savetxt", "savez", "savez_compressed", "subprocess", "sys", "tofile", "cr_frame", "f_back",
    "f_builtins", "f_globals", "f_locals", "gi_frame", "now", "tb_frame", "to_clipboard", "to_csv",
    "to_excel", "today", "utcnow",
    "to_feather", "to_hdf", "to_html", "to_iceberg", "to_json", "to_latex", "to_markdown", "to_orc",
    "to_parquet", "to_pickle", "to_sql", "to_stata", "to_xml",
})
# fmt: on


class CodeFault(NamedTuple):
    """`line` counts from 1; `code` is a word for machines, `detail` says what is wrong and what would be right."""

    line: int
    code: str
    detail: str


def code_faults(code: str) -> list[CodeFault]:
    """The faults, by line, at most MOST_FAULTS of them; none where the code may be run."""
    if (size := len(code.encode("utf-8", "replace"))) > LARGEST_CODE_BYTES:
        return [CodeFault(1, "code_too_large", f"The code has {size:,} bytes, more than {LARGEST_CODE_BYTES:,}.")]
    try:
        tree = ast.parse(code)
    except SyntaxError as error:
        return [CodeFault(error.lineno or 1, "syntax", f"This is no Python: {error.msg}.")]
    except (ValueError, RecursionError, MemoryError) as error:
        return [CodeFault(1, "syntax", f"This cannot be read as Python: {error}.")]
    faults = sorted([*_signature_faults(tree), *_node_faults(tree), *_module_state_faults(tree)])
    return faults[:MOST_FAULTS]


def imported_modules(code: str) -> tuple[str, ...]:
    """Every module that the code names in an import, sorted; empty where the code cannot be read."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    return tuple(sorted({module for node in ast.walk(tree) for module in _modules_of(node)}))


def _modules_of(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        parts = [f"{node.module}.{alias.name}" for alias in node.names]
        allowed = [part for part in parts if part in ALLOWED_MODULES]
        yield from allowed
        if len(allowed) < len(parts) or node.module in ALLOWED_MODULES:
            yield node.module


def _signature_faults(tree: ast.Module) -> Iterator[CodeFault]:
    named = [node for node in tree.body if getattr(node, "name", None) == FUNCTION]
    wanted = f"def {FUNCTION}(prices, params)"
    if not named:
        yield CodeFault(1, "no_target_weights", f"There is no top-level function; write {wanted}.")
    elif not isinstance(named[-1], ast.FunctionDef):
        yield CodeFault(_line(named[-1]), "bad_signature", f"{FUNCTION} is no plain function; write {wanted}.")
    elif not _takes_two(named[-1].args):
        yield CodeFault(
            named[-1].lineno, "bad_signature", f"{FUNCTION} takes two positional parameters; write {wanted}."
        )


def _takes_two(arguments: ast.arguments) -> bool:
    others = (arguments.vararg, arguments.kwarg, *arguments.kwonlyargs, *arguments.defaults)
    return len(arguments.posonlyargs) + len(arguments.args) == PARAMETERS and not any(others)


def _node_faults(tree: ast.Module) -> Iterator[CodeFault]:
    for node in ast.walk(tree):
        check = _CHECKS.get(type(node))
        if check is not None:
            yield from check(node)


def _module_state_faults(tree: ast.Module) -> Iterator[CodeFault]:
    """A module lives on from call to call in a backtest, and not in what runs: what is left there makes them differ."""
    modules = {
        alias.asname or alias.name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load) and _root(node) in modules:
            yield CodeFault(
                node.lineno, "module_changed",
                f"{ast.unparse(node)} belongs to a module: nothing may be kept there from one call to the next.",
            )  # fmt: skip


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _line(node: ast.AST) -> int:
    return getattr(node, "lineno", 1)


def _import_faults(node: ast.Import) -> Iterator[CodeFault]:
    for alias in node.names:
        if not is_import_allowed(alias.name):
            yield _forbidden_import(node, alias.name)


def _import_from_faults(node: ast.ImportFrom) -> Iterator[CodeFault]:
    names = tuple(alias.name for alias in node.names)
    if node.level or not is_import_allowed(node.module or "", names):
        yield _forbidden_import(node, "." * node.level + (node.module or ""))
    for name in names:
        if name == "*":
            yield CodeFault(node.lineno, "star_import", f"Name what you import from {node.module}, in the place of *.")
        elif name in FORBIDDEN_ATTRIBUTES or name.startswith("_"):
            yield CodeFault(node.lineno, "forbidden_import", f"{name} of {node.module} may not be imported.")


def _forbidden_import(node: ast.stmt, module: str) -> CodeFault:
    inner = sorted(name for name in ALLOWED_MODULES if name.startswith(f"{module}."))
    roots = inner or sorted(name for name in ALLOWED_MODULES if "." not in name or name.startswith("scipy."))
    return CodeFault(node.lineno, "forbidden_import", f"{module} may not be imported; what may: {', '.join(roots)}.")


def _name_faults(node: ast.Name) -> Iterator[CodeFault]:
    if node.id in FORBIDDEN_BUILTINS or (_is_dunder(node.id) and node.id not in ALLOWED_DUNDERS):
        yield CodeFault(node.lineno, "forbidden_name", f"{node.id} may not be used in a strategy.")


def _attribute_faults(node: ast.Attribute) -> Iterator[CodeFault]:
    if node.attr in ALLOWED_DUNDERS or _is_own_private(node):
        return
    if node.attr in FORBIDDEN_ATTRIBUTES or node.attr.startswith(("_", "read_")):
        yield CodeFault(
            node.lineno, "forbidden_attribute",
            f".{node.attr} may not be used: a strategy has its prices and parameters, and no files, clock, text to "
            "evaluate or insides of Python.",
        )  # fmt: skip


def _is_own_private(node: ast.Attribute) -> bool:
    owner = node.value.id if isinstance(node.value, ast.Name) else ""
    return owner in {"self", "cls"} and not _is_dunder(node.attr)


def _is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


_CHECKS: dict[type[ast.AST], Callable[..., Iterator[CodeFault]]] = {
    ast.Import: _import_faults,
    ast.ImportFrom: _import_from_faults,
    ast.Name: _name_faults,
    ast.Attribute: _attribute_faults,
}
