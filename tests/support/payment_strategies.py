"""Hypothesis strategies: logs in either dialect, mostly sound, with all that can be wrong with a line."""

import csv
from dataclasses import dataclass

from hypothesis import strategies as st

from tests.support.card_data import VISA, card_number, grouped
from tests.support.payment_logs import BANKSIM_LINE, REQUIRED, csv_line
from tests.support.reference_adapter import FORMATS, Entry, entries_of

CARDS = (VISA, card_number("34", 15), card_number("6759", 12))

_NAMES = st.one_of(
    st.sampled_from(["Bäcker", "O'Hara", 'The "Ox"', "a, b", " x ", "", "two\nlines", "\r\nEnd", "\ufeffBOM", "NULL"]),
    st.text(alphabet="aé,\"'\n\r\t; 0-😀\x00", max_size=5),
    st.sampled_from([f"paid by {CARDS[0]}.", f"{grouped(CARDS[0], ' ')} 12/29", f"no {grouped(CARDS[1], '-')}"]),
)
_IDS = st.one_of(st.sampled_from(["T1", "T2", "C1", "M1"]), st.text(alphabet="aé1,\"'\n", max_size=3))
_MOMENTS = st.sampled_from(
    [
        "2026-10-01T12:34:56.789Z",
        "2026-10-01T12:34:56+05:30",
        "2026-10-01 12:34:56.1234567",
        "2026-10-01T12:34",
        "2026-10-01",
        "1969-12-31T23:59:59.999999999-0100",
        "1677-01-01T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "yesterday",
        "",
    ]
)
_AMOUNTS = st.one_of(
    st.decimals(-1000, 1000, places=2).map(str),
    st.sampled_from(["0", "7", "12.3", "1.234", "1.2345", "1.23456", "1.000", "-0.00", "99999999999", "1e3", "", "x"]),
)
_CURRENCIES = st.sampled_from(["EUR", "EUR", "EUR", "JPY", "KWD", "CLF", "eur", "ZZZ", ""])

OUR_CELLS = {
    "transaction_id": _IDS,
    "event_type": st.sampled_from(["authorisation", "capture", "refund", "chargeback", "reversal", "purchase", ""]),
    "event_timestamp": _MOMENTS,
    "customer_id": _IDS,
    "merchant_id": _IDS,
    "merchant_name": _NAMES,
    "amount": _AMOUNTS,
    "fee": _AMOUNTS,
    "currency": _CURRENCIES,
    "weight": st.sampled_from(["0", "0.5", "1.2345", "-3", "10000001", "0.12345", "heavy", ""]),
    "card_number": st.sampled_from([*CARDS, *(grouped(card, " ") for card in CARDS), "1234", "0" * 20, "", "12-34"]),
    "uses_3ds": st.sampled_from(["true", "FALSE", "1", "0", "", "yes"]),
    "lat": st.sampled_from(["52.52", "-.5", "7.", "1e1", "91", "north", "0.1234567890123456", ""]),
    "attempt": st.sampled_from(["1", "1000", "0", "40000", "1.5", ""]),
    "latency_ms": st.sampled_from(["0", "120", "-1", "2147483648", ""]),
    "note": _NAMES,
}
"""A log of ours may lack columns that are not required, and have others: `note` is none of ours."""

BANKSIM_CELLS = {
    "step": st.sampled_from(["0", "1", "179", "99999", "100000", "-1", "x", ""]),
    "customer": _IDS,
    "age": st.sampled_from(["0", "6", "U", ""]),
    "gender": st.sampled_from(["F", "M", "E", "U", ""]),
    "zipcodeOri": st.just("28007"),
    "merchant": _IDS,
    "zipMerchant": st.just("28007"),
    "category": _NAMES,
    "amount": _AMOUNTS,
    "fraud": st.sampled_from(["0", "1"]),
}

SOUND_CELLS = OUR_CELLS | {
    "transaction_id": st.sampled_from(["T1", "T2"]),
    "event_type": st.just("capture"),
    "event_timestamp": st.sampled_from(["2026-10-01T12:34:56.789Z", "2026-10-01T12:34:56+05:30"]),
    "customer_id": st.sampled_from(["C1", "Ünal"]),
    "merchant_id": st.sampled_from(["M1", "M 2"]),
    "amount": st.decimals(-1000, 1000, places=2).map(str),
    "fee": st.sampled_from(["0.25", ""]),
    "currency": st.just("EUR"),
    "weight": st.just("0.5"),
    "card_number": st.sampled_from([*CARDS, ""]),
    "uses_3ds": st.just("true"),
    "lat": st.sampled_from(["52.52", "-0.1234567890123456", ""]),
    "attempt": st.just("1"),
    "latency_ms": st.just("120"),
}
SOUND_BANKSIM_CELLS = BANKSIM_CELLS | {
    "step": st.sampled_from(["0", "179"]),
    "customer": st.sampled_from(["C1", "C2"]),
    "merchant": st.just("M1"),
    "amount": st.decimals(0, 1000, places=2).map(str),
}

assert set(REQUIRED) <= set(OUR_CELLS) and set(BANKSIM_LINE) == set(BANKSIM_CELLS)


@dataclass(frozen=True)
class MadeUpLog:
    """A log's bytes, and what its format is called."""

    content: bytes
    format: str

    def entries(self, is_final: bool = True) -> list[Entry]:
        """What the log means, by the reference."""
        return entries_of(self.content, FORMATS[self.format], is_final, CARDS)


def logs(max_lines: int) -> st.SearchStrategy[MadeUpLog]:
    """Logs of either format: sound lines with odd texts, lines with bad cells, torn ones, and junk."""
    return st.one_of(
        _logs("ours", OUR_CELLS, SOUND_CELLS, max_lines),
        _logs("banksim", BANKSIM_CELLS, SOUND_BANKSIM_CELLS, max_lines),
    )


@st.composite
def _logs(draw: st.DrawFn, format: str, cells: dict, sound: dict, max_lines: int) -> MadeUpLog:
    quote = FORMATS[format].quote
    names = draw(st.permutations(list(cells)))
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    quoting = st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL])

    def lines(values: dict) -> st.SearchStrategy[bytes]:
        row = st.tuples(*(values[name] for name in names))
        return st.builds(lambda row, quoting: csv_line(row, quote, quoting, newline), row, quoting)

    line = st.one_of(lines(sound), lines(sound), lines(sound), lines(cells), _broken(lines(sound)), _junk(quote))
    head = draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + (",".join(names) + newline).encode()
    body = b"".join(draw(st.lists(line, max_size=max_lines)))
    return MadeUpLog(head + body[: len(body) - draw(st.sampled_from([0, 0, 1, 2, 30]))], format)


def _broken(lines: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Lines with one byte lost, or one put in."""

    def spoil(line: bytes, place: int, lost: int, put: bytes) -> bytes:
        place %= len(line)
        return line[:place] + put + line[place + lost :]

    return st.builds(
        spoil, lines, st.integers(0, 300), st.integers(0, 1), st.sampled_from([b"", b"\xe9", b",", b'"', b"'", b"\n"])
    )


def _junk(quote: str) -> st.SearchStrategy[bytes]:
    bits = [b"a", b",", quote.encode(), b"\n", b"\r", b"\r\n", b"\xef\xbb\xbf", b"\xff", b",,,,,,,,,", b" "]
    return st.lists(st.sampled_from(bits), max_size=12).map(lambda found: b"".join(found) + b"\n")
