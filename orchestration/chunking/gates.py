"""What a chunk must satisfy before its tick commits anything."""

import numpy as np

from expectations.card_numbers import find_card_numbers
from expectations.errors import CardNumberFound, TollgateError
from expectations.landing import Chunk
from expectations.payments import PAYMENT
from expectations.sources.adapter import Adapted


def check_chunk(chunk: Chunk, adapted: Adapted, content: bytes) -> None:
    """Conservation, schema, and no card number in the file's content or in what goes to quarantine.

    Raises:
        CardNumberFound: a card number would have been written.
        TollgateError: entries were lost or doubled, or the rows have another schema.
    """
    accounted = np.concatenate([adapted.entries, [rejection.entry_number for rejection in adapted.rejections]])
    if not np.array_equal(np.sort(accounted), np.arange(chunk.first, chunk.last + 1)):
        raise TollgateError(
            f"{chunk.entries:,} entries became {len(adapted.rows):,} rows and {len(adapted.rejections):,} "
            "quarantined ones",
            where=chunk.name,
        )
    if not adapted.rows.schema.equals(PAYMENT.arrow()):
        raise TollgateError("the rows do not have the canonical schema", where=chunk.name)
    for text in (content, *(rejection.raw.encode() for rejection in adapted.rejections)):
        if next(find_card_numbers(text), None):
            raise CardNumberFound("a card number would have been written", where=chunk.name)


def check_totals(chunk: Chunk, bronze_rows: int, quarantine_rows: int) -> None:
    """After the appends, before the offset: every entry so far is in bronze or in quarantine.

    Raises:
        TollgateError: it is not; a table was changed from outside.
    """
    if bronze_rows + quarantine_rows != chunk.last + 1:
        raise TollgateError(
            f"{chunk.last + 1:,} entries should be {bronze_rows:,} rows in bronze + {quarantine_rows:,} in quarantine",
            where=chunk.name,
            remedy="a table was changed from outside: restore it",
        )
