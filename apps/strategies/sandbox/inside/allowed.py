"""What a strategy may import and which builtins it does without: the rules and the sandbox read the same lists."""

ALLOWED_MODULES = frozenset(
    {
        "__future__",
        "bisect",
        "collections",
        "collections.abc",
        "dataclasses",
        "datetime",
        "decimal",
        "fractions",
        "functools",
        "heapq",
        "itertools",
        "math",
        "numpy",
        "numpy.fft",
        "numpy.lib.stride_tricks",
        "numpy.linalg",
        "numpy.ma",
        "numpy.polynomial",
        "numpy.random",
        "numpy.typing",
        "pandas",
        "pandas.api.types",
        "pandas.tseries.offsets",
        "scipy.linalg",
        "scipy.linalg.blas",
        "scipy.linalg.lapack",
        "scipy.optimize",
        "scipy.stats",
        "scipy.stats.mstats",
        "scipy.stats.qmc",
        "statistics",
        "typing",
    }
)

FORBIDDEN_BUILTINS = frozenset(
    {
        "__import__",
        "breakpoint",
        "compile",
        "delattr",
        "eval",
        "exec",
        "exit",
        "getattr",
        "globals",
        "help",
        "input",
        "locals",
        "memoryview",
        "open",
        "quit",
        "setattr",
        "vars",
    }
)

STRATEGY_FILE = "<strategy>"


def is_allowed(module: str) -> bool:
    return module in ALLOWED_MODULES


def is_import_allowed(module: str, names: tuple[str, ...] = ()) -> bool:
    """Whether `import module`, or `from module import names`, may be: the module, or each name as a module of it."""
    return is_allowed(module) or (bool(names) and all(is_allowed(f"{module}.{name}") for name in names))
