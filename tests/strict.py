"""The typed client with every shape and type of the package checked as it runs: python tests/strict.py."""

import functools
import importlib
import pkgutil
import sys

import typed_client
from beartype import BeartypeConf, beartype
from jaxtyping import install_import_hook

import multiindex_nb as mi


def is_foreign(value) -> bool:
    "Dask arrays and data frames have no dtype that jaxtyping reads, alone or within a tuple."
    if isinstance(value, (tuple, list)):
        return any(is_foreign(part) for part in value)
    return type(value).__module__.partition(".")[0] in ("dask", "pandas", "polars")


def strict(checked):
    """Beartype as the hook asks for it, a whole number doing for a float; calls with Dask arrays or frames
    are let through."""
    check = beartype(conf=BeartypeConf(is_pep484_tower=True))(checked)
    if isinstance(checked, type):
        return check

    @functools.wraps(check)
    def unless_foreign(*args, **options):
        if any(map(is_foreign, (*args, *options.values()))):
            return None
        return check(*args, **options)

    return unless_foreign


def main() -> None:
    "Load the package again under the hook, and let the client use it."
    for name in [name for name in sys.modules if name.partition(".")[0] == "multiindex_nb"]:
        del sys.modules[name]
    with install_import_hook("multiindex_nb", "strict.strict"):
        typed_client.mi = importlib.import_module("multiindex_nb")
        for module in pkgutil.walk_packages(mi.__path__, "multiindex_nb."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    typed_client.main()


if __name__ == "__main__":
    sys.modules["strict"], sys.modules["jax"] = sys.modules["__main__"], None  # jax would shorten tracebacks
    main()
