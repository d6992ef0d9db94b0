"""Running an adapter over a whole log in memory, block by block, without a lake."""

from collections.abc import Iterator, Sequence
from itertools import cycle
from pathlib import Path

from expectations.card_numbers import Tokeniser, TokeniserFactory
from expectations.sources.adapter import Adapted, SourceBlock, adapt
from expectations.sources.csv_records import split_records
from expectations.sources.references import References
from expectations.sources.registry import recognise
from tests.support.card_data import TOKEN_KEY
from tests.support.reference_adapter import DAY_ZERO, Entry

WHOLE = (1_000_000,)


def tests_tokeniser() -> Tokeniser:
    return Tokeniser(TOKEN_KEY)


def adapted_blocks(
    log: bytes,
    limits: Sequence[int] = WHOLE,
    make_tokeniser: TokeniserFactory = tests_tokeniser,
    references: References | None = None,
) -> Iterator[tuple[SourceBlock, Adapted]]:
    """The blocks of a complete log, each with as many entries as the limits say in turn, and what became of them."""
    header = log[: log.index(b"\n") + 1]
    adapter = recognise(header, Path("test.csv"))
    position, entries = len(header), 0
    for limit in cycle(limits):
        records = split_records(log[position:], adapter.quote, limit, is_end=True)
        if len(records) == 0:
            return
        end = int(records.ends[-1])
        block = SourceBlock(log[position : position + end], records, entries, position)
        yield block, adapt(adapter, adapter.header(header), "test", block, make_tokeniser, DAY_ZERO, references)
        position, entries = position + end, entries + len(block)


def adapted_entries(log: bytes, limits: Sequence[int] = WHOLE, references: References | None = None) -> list[Entry]:
    """What became of every entry of a complete log, as the reference tells it."""
    found: list[Entry] = []
    for block, adapted in adapted_blocks(log, limits, references=references):
        starts = block.byte_offset + block.records.starts
        for number, row in zip(adapted.entries.tolist(), adapted.rows.to_pylist(), strict=True):
            index = number - block.first_entry
            found.append(Entry(number, int(starts[index]), block.record(index), row))
        found += [
            Entry(
                rejection.entry_number,
                rejection.byte_offset,
                log[rejection.byte_offset :][: rejection.byte_length],
                None,
                rejection.reason.value,
                rejection.column,
                rejection.amount_minor,
                rejection.currency,
            )
            for rejection in adapted.rejections
        ]
    return sorted(found, key=lambda entry: entry.number)
