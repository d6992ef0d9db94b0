"""Which code made a day: the version of the package, and a hash of the sources that decide a day's figures."""

from importlib.metadata import version
from pathlib import Path

from expectations import core_banking, finance
from expectations.card_numbers import fingerprint
from orchestration.finance import audited_tables, canonical, reconcile

_DECIDING = (core_banking, finance, audited_tables, canonical, reconcile)


def code_hash() -> str:
    """SHA-256 in base32 over the deciding modules' sources, in the order of their names."""
    sources = {module.__name__: Path(module.__file__ or "").read_bytes() for module in _DECIDING}
    return fingerprint(b"\0".join(name.encode() + b"\n" + sources[name] for name in sorted(sources)))


def package_version() -> str:
    """The installed version of Tollgate."""
    return version("tollgate")
