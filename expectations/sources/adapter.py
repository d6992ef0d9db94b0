"""What an adapter is, and how it turns a block of a source's bytes into payment events and rejections."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from expectations.card_numbers import MIN_DIGITS, TokeniserFactory, mask_long_numbers
from expectations.payments import PAYMENT
from expectations.schema import DataType, Field
from expectations.sources.columns import Parsed, Parser, RawBlock, Reason
from expectations.sources.csv_records import Records, field_counts, irregular
from expectations.sources.references import References
from expectations.thresholds import MAX_ENTRY_BYTES


@dataclass(frozen=True)
class SourceAdapter:
    """A foreign CSV format.

    Attributes:
        name: what the format is called.
        required: header columns without which nothing can be made of a file.
        columns: for each canonical column that the format has, its parser. The others are null.
        quote: the quote character.
        card_column: the source column with card numbers, if there is one.
    """

    name: str
    required: tuple[str, ...]
    columns: Mapping[str, Parser]
    quote: str = '"'
    delimiter: str = ","
    card_column: str | None = None

    def __post_init__(self) -> None:
        unknown = {*self.columns} - {*PAYMENT.columns}
        if unknown:
            raise ValueError(f"adapter {self.name}: no canonical columns {sorted(unknown)}")

    def header(self, line: bytes) -> list[str]:
        """The column names in a header line."""
        return [name.strip().strip(self.quote) for name in line.decode("utf-8-sig").strip().split(self.delimiter)]


@dataclass(frozen=True)
class Rejection:
    """One entry that cannot become a payment event. `raw` holds no long digit run, and of a long entry the start."""

    entry_number: int
    byte_offset: int
    byte_length: int
    reason: Reason
    column: str | None
    rule: str
    raw: str
    amount_minor: int | None = None
    currency: str | None = None


@dataclass(frozen=True)
class Adapted:
    """What became of a block: every entry is either in `rows` or in `rejections`.

    Attributes:
        rows: the payment events, with the columns of `expectations.payments.PAYMENT`.
        entries: int64, the entry number of each of them.
        rejections: the others, in order.
    """

    rows: pa.Table
    entries: np.ndarray
    rejections: tuple[Rejection, ...]


@dataclass(frozen=True)
class SourceBlock:
    """Whole records of a source: their bytes, and where the first of them stands."""

    content: bytes
    records: Records
    first_entry: int
    byte_offset: int

    def __len__(self) -> int:
        return len(self.records)

    def record(self, index: int) -> bytes:
        start = self.records.ends[index - 1] if index else 0
        return self.content[start : self.records.ends[index]]


def adapt(
    adapter: SourceAdapter,
    header: list[str],
    source: str,
    block: SourceBlock,
    make_tokeniser: TokeniserFactory,
    day_zero: datetime,
    references: References | None = None,
) -> Adapted:
    """Brings a block into the canonical shape.

    No card number leaves this function: the card column becomes tokens, and one that stands in any other text
    is replaced by its token.

    Raises:
        SettingsError: a card number was met and there is no key.
    """
    table, kept, faults = _read(adapter, header, block)
    references = references or References(None, None, make_tokeniser)
    raw = RawBlock(table, block.first_entry + kept, make_tokeniser, day_zero, source, references)
    parsed = {
        field.name: adapter.columns[field.name](raw) if field.name in adapter.columns else _absent(field, len(table))
        for field in PAYMENT.fields
    }
    row_faults = _invalid(parsed)
    money = (parsed["amount_minor"].values, parsed["currency"].values)
    rejections = [_reject(adapter, block, index, fault) for index, fault in faults.items()]
    for row, fault in row_faults.items():
        card = raw.text(adapter.card_column)[row].as_py() if adapter.card_column else None
        amount, currency = (column[row].as_py() for column in money)
        rejections.append(_reject(adapter, block, int(kept[row]), fault, card, amount, currency))
    is_good = np.ones(len(table), bool)
    is_good[[*row_faults]] = False
    rows = pa.Table.from_arrays([parsed[name].values for name in PAYMENT.columns], schema=PAYMENT.arrow())
    if not is_good.all():
        rows = rows.filter(pa.array(is_good))
    return Adapted(
        rows=_without_card_numbers(rows, make_tokeniser),
        entries=raw.entries[is_good],
        rejections=tuple(sorted(rejections, key=lambda rejection: rejection.entry_number)),
    )


_Fault = tuple[Reason, str | None, str]


def _absent(field: Field, rows: int) -> Parsed:
    return Parsed(pa.nulls(rows, field.type.arrow))


def _read(
    adapter: SourceAdapter, header: list[str], block: SourceBlock
) -> tuple[pa.Table, np.ndarray, dict[int, _Fault]]:
    """The records as text columns, their indices in the block, and the faults of those that cannot be read.

    As a rule all of them parse at once; only if they do not is each one looked at.
    """
    every = np.arange(len(block))
    is_alone = irregular(block.content, block.records, adapter.quote, adapter.delimiter)
    if not (block.records.unterminated | is_alone | (block.records.lengths > MAX_ENTRY_BYTES)).any():
        table = _read_csv(adapter, header, block.content, block.records.spans_lines)
        if table is not None and len(table) == len(block):
            return table, every, {}
    faults = _unparsable(adapter, header, block)
    table, unreadable = _parse(adapter, header, block, np.setdiff1d(every, [*faults]), is_alone)
    faults |= dict.fromkeys(unreadable, (Reason.MALFORMED_RECORD, None, "one CSV record"))
    return table, np.setdiff1d(every, [*faults]), faults


def _unparsable(adapter: SourceAdapter, header: list[str], block: SourceBlock) -> dict[int, _Fault]:
    """Records that are no text of the right number of fields, by index in the block."""
    faults: dict[int, _Fault] = {
        int(index): (Reason.UNTERMINATED_QUOTE, None, "a quote closes within its record")
        for index in np.flatnonzero(block.records.unterminated)
    }
    for index in np.flatnonzero(block.records.lengths > MAX_ENTRY_BYTES).tolist():
        faults.setdefault(index, (Reason.MALFORMED_RECORD, None, f"at most {MAX_ENTRY_BYTES:,} bytes"))
    if not _is_utf8(block.content):
        for index in range(len(block)):
            if not _is_utf8(block.record(index)):
                faults.setdefault(index, (Reason.BAD_ENCODING, None, "UTF-8"))
    counts = field_counts(block.content, block.records, adapter.quote, adapter.delimiter)
    for index in np.flatnonzero(counts != len(header)).tolist():
        faults.setdefault(index, (Reason.WRONG_FIELD_COUNT, None, f"{len(header)} fields, not {counts[index]}"))
    return faults


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _parse(
    adapter: SourceAdapter, header: list[str], block: SourceBlock, indices: np.ndarray, is_alone: np.ndarray
) -> tuple[pa.Table, list[int]]:
    """The records as text columns, and the indices of those that do not parse to exactly one row."""
    if len(indices) <= 1 or not is_alone[indices].any():
        content = b"".join(block.record(index) for index in indices)
        table = _read_csv(adapter, header, content, block.records.spans_lines)
        if table is not None and len(table) == len(indices):
            return table, []
    if len(indices) == 1:
        return pa.table({name: pa.array([], pa.string()) for name in header}), indices.tolist()
    half = len(indices) // 2
    parts = [_parse(adapter, header, block, part, is_alone) for part in (indices[:half], indices[half:])]
    return pa.concat_tables([part[0] for part in parts]), [*parts[0][1], *parts[1][1]]


def _read_csv(adapter: SourceAdapter, header: list[str], content: bytes, spans_lines: bool) -> pa.Table | None:
    if not content:
        return pa.table({name: pa.array([], pa.string()) for name in header})
    try:
        return pacsv.read_csv(
            io.BytesIO(content),
            read_options=pacsv.ReadOptions(column_names=header, block_size=len(content) + 1, use_threads=False),
            parse_options=pacsv.ParseOptions(
                delimiter=adapter.delimiter,
                quote_char=adapter.quote,
                newlines_in_values=spans_lines,
                ignore_empty_lines=False,
            ),
            convert_options=pacsv.ConvertOptions(
                column_types={name: pa.string() for name in header},
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid:
        return None


def _invalid(parsed: Mapping[str, Parsed]) -> dict[int, _Fault]:
    """Rows that break the schema, by row; each with the first field at fault: the currency, then in schema order."""
    faults: dict[int, _Fault] = {}

    def note(mask: np.ndarray | None, fault: _Fault) -> None:
        for row in np.flatnonzero(mask).tolist() if mask is not None else ():
            faults.setdefault(row, fault)

    # Without its currency no amount can be read, so that the amounts would be blamed.
    for field in sorted(PAYMENT.fields, key=lambda field: field.name != "currency"):
        column = parsed[field.name]
        at = column.source_column or field.name
        if column.reason:
            note(column.is_bad, (column.reason, at, f"{field.name}: {column.rule}"))
        if not field.nullable and column.values.null_count:
            note(_true(pc.is_null(column.values)), (Reason.MISSING_VALUE, at, f"{field.name}: required"))
        if field.minimum is not None or field.maximum is not None:
            note(_outside(column.values, field), (Reason.OUT_OF_RANGE, at, f"{field.name}: {_range(field)}"))
        if field.allowed:
            is_known = pc.is_in(column.values, value_set=pa.array(field.allowed))
            is_other = _true(pc.and_(pc.invert(is_known), pc.is_valid(column.values)))
            note(is_other, (Reason.NOT_ALLOWED, at, f"{field.name}: one of {', '.join(field.allowed)}"))
    return faults


def _outside(values: pa.Array, field: Field) -> np.ndarray | None:
    bounds = pc.min_max(values)
    lowest, highest = bounds["min"].as_py(), bounds["max"].as_py()
    minimum = -np.inf if field.minimum is None else field.minimum
    maximum = np.inf if field.maximum is None else field.maximum
    if lowest is None or (lowest >= minimum and highest <= maximum):
        return None
    return _true(pc.or_(pc.less(values, minimum), pc.greater(values, maximum)))


def _range(field: Field) -> str:
    if field.maximum is None:
        return f"at least {field.minimum:g}"
    return f"from {field.minimum:g} to {field.maximum:g}"


def _true(values: pa.Array) -> np.ndarray:
    return pc.fill_null(values, False).to_numpy(zero_copy_only=False)


def _reject(
    adapter: SourceAdapter,
    block: SourceBlock,
    index: int,
    fault: _Fault,
    card: str | None = None,
    amount_minor: int | None = None,
    currency: str | None = None,
) -> Rejection:
    reason, column, rule = fault
    start = int(block.records.starts[index])
    raw = block.record(index).decode("utf-8", "backslashreplace").rstrip("\r\n")
    if card:
        raw = raw.replace(card, "<card number>")
    return Rejection(
        entry_number=block.first_entry + index,
        byte_offset=block.byte_offset + start,
        byte_length=int(block.records.ends[index]) - start,
        reason=reason,
        column=column,
        rule=rule,
        raw=mask_long_numbers(raw)[:MAX_ENTRY_BYTES],
        amount_minor=amount_minor,
        currency=currency,
    )


def _without_card_numbers(rows: pa.Table, make_tokeniser: TokeniserFactory) -> pa.Table:
    """Replaces card numbers that stand in text columns by their tokens."""
    for position, field in enumerate(PAYMENT.fields):
        if field.type is not DataType.STRING or field.name == "card_token":
            continue
        values = rows.column(position)
        if (pc.max(pc.binary_length(values)).as_py() or 0) < MIN_DIGITS:
            continue
        suspects = pc.match_substring_regex(values, r"[0-9]([ -]?[0-9]){11}")
        if pc.any(suspects).as_py():
            redact = make_tokeniser().redact
            replaced = [
                redact(value) if suspect else value
                for value, suspect in zip(values.to_pylist(), suspects.to_pylist(), strict=True)
            ]
            rows = rows.set_column(position, rows.schema.field(position), pa.array(replaced, pa.string()))
    return rows
