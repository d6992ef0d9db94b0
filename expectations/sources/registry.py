"""The known formats, and which of them a file has. A new adapter is added to the list below."""

from collections.abc import Iterable

from expectations.errors import SourceError
from expectations.sources.adapter import SourceAdapter
from expectations.sources.banksim import BANKSIM
from expectations.sources.card_transactions import CARD_TRANSACTIONS
from expectations.sources.tollgate_log import TOLLGATE_LOG

ADAPTERS: tuple[SourceAdapter, ...] = (TOLLGATE_LOG, BANKSIM, CARD_TRANSACTIONS)


def recognise(header_line: bytes, where: object, adapters: Iterable[SourceAdapter] = ADAPTERS) -> SourceAdapter:
    """The adapter whose required columns the header has.

    Raises:
        SourceError: the header is no UTF-8 text, has a name twice, or lacks a required column; names the closest
            format.
    """
    if b"\0" in header_line or header_line[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise SourceError("not UTF-8 text", where=where, remedy="convert it to UTF-8")
    try:
        missing = {
            adapter.name: [name for name in adapter.required if name not in adapter.header(header_line)]
            for adapter in adapters
        }
    except UnicodeDecodeError as error:
        raise SourceError("the header is not UTF-8 text", where=where, remedy="convert it to UTF-8") from error
    for adapter in adapters:
        if not missing[adapter.name]:
            names = adapter.header(header_line)
            if len({*names}) < len(names):
                raise SourceError("two columns have the same name", where=where, remedy="rename one in the header")
            return adapter
    closest = min(missing, key=lambda name: len(missing[name]))
    raise SourceError(
        f"missing required column {', '.join(missing[closest])} of the {closest} format",
        where=where,
        remedy="add the column, or write an adapter in expectations/sources",
    )
