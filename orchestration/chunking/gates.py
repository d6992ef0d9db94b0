"""What a chunk must satisfy before its tick commits anything."""

import io

import numpy as np
import pyarrow.csv as pacsv

from expectations.card_numbers import find_card_numbers
from expectations.errors import CardNumberFound, TollgateError
from expectations.landing import Chunk
from expectations.payments import PAYMENT
from expectations.sources.adapter import Adapted


def check_chunk(chunk: Chunk, adapted: Adapted) -> None:
    """Conservation, schema, and no card number.

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
    text = io.BytesIO()
    pacsv.write_csv(adapted.rows, text)
    texts = [text.getvalue(), *(rejection.raw.encode() for rejection in adapted.rejections)]
    for content in texts:
        if next(find_card_numbers(content), None):
            raise CardNumberFound("a card number would have been written", where=chunk.name)
