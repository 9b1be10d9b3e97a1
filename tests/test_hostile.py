"""What may come in: every public function with hostile arguments, in a process of its own."""

import re

import hostile
from forks import run_script

import multiindex_nb as mi

PAIRS, SEED = "400", "0"


def test_every_public_function_is_in_the_table():
    "A new name must be given its good and its hostile arguments; a result or a warning needs none."
    called = {re.match(r"\w+", name)[0] for name in hostile.CALLS}
    warned = {name for name in mi.__all__ if isinstance(getattr(mi, name), type)
              and issubclass(getattr(mi, name), Exception)}
    assert set(mi.__all__) - called - warned - hostile.RESULTS - {"MultiIndexRegressor"} == set()


def test_every_argument_is_in_the_table():
    "An argument without hostile values would be one without a test."
    import inspect

    skipped = {"progress", "self", "X2", "y2", "path", "name", "label", "style", "args", "kwargs", "k"}
    for name in set(mi.__all__) & set(hostile.CALLS):
        f = getattr(mi, name)
        if not inspect.isclass(f):
            assert set(inspect.signature(f).parameters) - skipped <= set(hostile.CALLS[name][2]), name


def test_hostile_calls_are_refused_by_name_or_answered_rightly():
    """No other kind of error, no argument unnamed, no second lost, no gigabyte, no NaN, no mask or digit
    dropped, and the same answer for the same numbers."""
    code, said = run_script(hostile.__file__, PAIRS, SEED)
    assert code == 0, said[-5000:]
