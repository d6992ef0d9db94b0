"""What is known of cards and customers apart from the log: two files, joined to its entries where they are given."""

from dataclasses import dataclass
from functools import cached_property
from io import BytesIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from expectations.card_numbers import MAX_DIGITS, MIN_DIGITS, TokeniserFactory
from expectations.errors import SourceError
from expectations.places import Location

_CARD_COLUMNS = ("id", "card_brand", "card_number")
_USER_COLUMNS = ("id", "birth_year", "birth_month", "gender")


@dataclass(frozen=True)
class References:
    """The two files; what neither names is null. Each is read once, when it is first wanted.

    Attributes:
        cards_path: `id, card_brand, card_number`. Its other columns are not read: a CVV gets no further than the
            reader that skips it.
        users_path: `id, birth_year, birth_month, gender`, likewise.
        make_tokeniser: called once there are card numbers.
    """

    cards_path: Location | None
    users_path: Location | None
    make_tokeniser: TokeniserFactory

    @cached_property
    def cards(self) -> pa.Table:
        """Columns `id, card_token, card_bin6, card_last4, card_network`, one row per card.

        Raises:
            SourceError: the file cannot be read, repeats an id, or has what is no card number.
            SettingsError: there is no key for tokens.
        """
        found = _read(self.cards_path, _CARD_COLUMNS)
        digits = pc.replace_substring_regex(found["card_number"].combine_chunks(), r"[ -]", "")
        is_number = pc.fill_null(pc.match_substring_regex(digits, rf"^[0-9]{{{MIN_DIGITS},{MAX_DIGITS}}}$"), False)
        if not pc.all(is_number, min_count=0).as_py():
            row = is_number.index(False).as_py()
            raise SourceError(
                f"record {row + 1:,} has no card number of {MIN_DIGITS} to {MAX_DIGITS} digits",
                where=self.cards_path,
                remedy="correct it, or leave the card out",
            )
        tokens = self.make_tokeniser().tokens(digits.to_pylist()) if len(found) else []
        return pa.table(
            {
                "id": found["id"],
                "card_token": pa.array(tokens, pa.string()),
                "card_bin6": pc.utf8_slice_codeunits(digits, 0, 6),
                "card_last4": pc.utf8_slice_codeunits(digits, -4),
                "card_network": pc.utf8_lower(found["card_brand"]),
            }
        )

    @cached_property
    def users(self) -> pa.Table:
        """Columns `id, gender` (F or M), `birth_month` (int64: months since the year 0), one row per customer.

        Raises:
            SourceError: the file cannot be read, or repeats an id.
        """
        found = _read(self.users_path, _USER_COLUMNS)
        gender = pc.index_in(pc.utf8_lower(found["gender"]), value_set=pa.array(["female", "male"]))
        year, month = (_whole(found[name]) for name in ("birth_year", "birth_month"))
        return pa.table(
            {
                "id": found["id"],
                "gender": pc.take(pa.array(["F", "M"]), gender),
                # Without a month the year counts from its middle.
                "birth_month": pc.add(pc.multiply(year, 12), pc.subtract(pc.fill_null(month, 7), 1)),
            }
        )


def joined(ids: pa.Array, table: pa.Table, column: str) -> pa.Array:
    """The column's value for each id; null where the table does not have it."""
    at = pc.index_in(ids, value_set=table["id"].combine_chunks(), skip_nulls=True)
    return pc.take(table[column].combine_chunks(), at)


def _whole(text: pa.ChunkedArray) -> pa.ChunkedArray:
    is_whole = pc.match_substring_regex(text, r"^[0-9]{1,4}$")
    return pc.cast(pc.if_else(is_whole, text, None), pa.int64())


def _read(path: Location | None, columns: tuple[str, ...]) -> pa.Table:
    """Some text columns of a CSV file; the others never become values. No rows where there is no file."""
    if path is None:
        return pa.table({name: pa.array([], pa.string()) for name in columns})
    convert = pacsv.ConvertOptions(
        include_columns=list(columns),
        column_types=dict.fromkeys(columns, pa.string()),
        null_values=[""],
        strings_can_be_null=True,
    )
    try:
        found = pacsv.read_csv(BytesIO(path.read_bytes()), convert_options=convert).combine_chunks()
    except FileNotFoundError as error:
        raise SourceError("no such file", where=path, remedy="check the path") from error
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        # Arrow's message may quote the line, and with it a card number.
        raise SourceError(
            f"not a CSV file with the columns {', '.join(columns)}", where=path, remedy="check its header and its lines"
        ) from error
    ids = found["id"]
    if ids.null_count or pc.count_distinct(ids).as_py() < len(ids):
        raise SourceError("an id is missing, or stands there twice", where=path, remedy="correct the file")
    return found
