"""Great Expectations, imported where it is needed: it takes seconds, and care."""

import os
import sys
from types import ModuleType


def great_expectations() -> ModuleType:
    """The package.

    On import it tries Spark's Connect client, which takes a main module without a file for its own doctests, and ends
    the process. In processes that are spawned, as Dagster's steps are, the main module has none.
    """
    # It asks the environment before it would report its use to its makers.
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    main = sys.modules["__main__"]
    is_bare = not hasattr(main, "__file__")
    if is_bare:
        main.__file__ = __file__
    try:
        import great_expectations as package
    finally:
        if is_bare:
            del main.__file__
    return package
