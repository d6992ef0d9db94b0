"""Cutting a file into records: the same records wherever the reads are cut, and no quote swallows the file."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations.sources.csv_records import Records, field_counts, irregular, split_records
from expectations.thresholds import MAX_ENTRY_BYTES
from tests.support.reference_adapter import records_of

ANY_SIZE = 1_000_000
BITS = (b"a", b",", b'"', b"\n", b"\r\n", b'""', b'","', b"\r", "é".encode(), b"\xef\xbb\xbf", b"\xff")
BODIES = st.lists(st.sampled_from(BITS), max_size=40).map(b"".join)


def reference_records(body: bytes, is_final: bool) -> list[bytes]:
    return [content for _, content, _ in records_of(body, b'"', is_final)]


def contents(body: bytes, records: Records) -> list[bytes]:
    return [body[start:end] for start, end in zip(records.starts, records.ends, strict=True)]


@given(body=BODIES, is_end=st.booleans(), limit=st.integers(1, 12))
@settings(deadline=None, max_examples=300)
def test_splits_like_the_reference(body: bytes, is_end: bool, limit: int):
    assert contents(body, split_records(body, '"', limit, is_end)) == reference_records(body, is_end)[:limit]


@given(body=BODIES, cuts=st.lists(st.integers(0, 60), max_size=6), limit=st.integers(1, 5))
@settings(deadline=None, max_examples=200)
def test_the_cuts_of_the_reads_do_not_matter(body: bytes, cuts: list[int], limit: int):
    """A log that grows by arbitrary bytes gives the records of the whole one; only the last may come later."""
    found: list[bytes] = []
    position = 0
    for length in [*sorted(cuts), len(body), len(body)]:
        grown = body[position:length]
        records = split_records(grown, '"', limit, is_end=False)
        found += contents(grown, records)
        position += int(records.ends[-1]) if len(records) else 0
    while rest := body[position:]:
        records = split_records(rest, '"', limit, is_end=True)
        found += contents(rest, records)
        position += int(records.ends[-1])
    assert found == reference_records(body, is_final=True)
    assert b"".join(found) == body


@given(body=BODIES)
@settings(deadline=None, max_examples=100)
def test_at_the_end_nothing_is_left(body: bytes):
    assert b"".join(contents(body, split_records(body, '"', ANY_SIZE, is_end=True))) == body


def test_a_torn_line_waits_until_it_is_the_last():
    assert len(split_records(b"a,b\nc,", '"', 9, is_end=False)) == 1
    assert contents(b"a,b\nc,", split_records(b"a,b\nc,", '"', 9, is_end=True)) == [b"a,b\n", b"c,"]


def test_quoted_newlines_stay_inside():
    body = b'a,"one\ntwo\r\nthree"\nb,"\n"\n'
    records = split_records(body, '"', 9, is_end=False)
    assert contents(body, records) == [b'a,"one\ntwo\r\nthree"\n', b'b,"\n"\n']
    assert records.spans_lines and not records.unterminated.any()


def test_an_open_quote_waits_only_so_long():
    """Within MAX_ENTRY_BYTES it may still close; beyond, its first line is an entry, and the next starts afresh."""
    line = b"x" * 99 + b"\n"
    torn = b'a,"never closed\n'
    lines_that_fit = (MAX_ENTRY_BYTES - len(torn)) // len(line)
    waiting = torn + line * lines_that_fit
    assert len(split_records(waiting, '"', ANY_SIZE, is_end=False)) == 0
    records = split_records(waiting + 2 * line, '"', ANY_SIZE, is_end=False)
    assert contents(waiting + 2 * line, records) == [torn, *[line] * (lines_that_fit + 2)]
    assert records.unterminated.tolist() == [True] + [False] * (lines_that_fit + 2)


def test_an_open_quote_at_the_end_of_a_complete_log_is_unterminated():
    body = b'a,"open\nb,c\n'
    records = split_records(body, '"', 9, is_end=True)
    assert contents(body, records) == [b'a,"open\n', b"b,c\n"]
    assert records.unterminated.tolist() == [True, False]


@given(inside=st.integers(MAX_ENTRY_BYTES - 3, MAX_ENTRY_BYTES + 3), more=st.integers(0, 5))
@settings(deadline=None, max_examples=30)
def test_the_bound_is_the_same_whether_or_not_more_follows(inside: int, more: int):
    """A record that closes its quote about MAX_ENTRY_BYTES after its start is cut alike by every read that sees it."""
    body = b'"\n' + b"x" * (inside - 3) + b'"\n' + b"y\n" * more
    assert contents(body, split_records(body, '"', ANY_SIZE, is_end=True)) == reference_records(body, is_final=True)
    growing = split_records(body, '"', ANY_SIZE, is_end=False)
    assert contents(body, growing) == reference_records(body, is_final=True)[: len(growing)]


def test_an_empty_block_has_no_records():
    records = split_records(b"", '"', 5, is_end=True)
    assert len(records) == 0 and len(records.starts) == 0
    assert len(field_counts(b"", records, '"', ",")) == 0 and len(irregular(b"", records, '"', ",")) == 0


def test_counts_fields_outside_quotes():
    body = b'a,b\n"a,b",c,"d\n,"\n\n"a""b,c"\n'
    records = split_records(body, '"', 9, is_end=False)
    assert field_counts(body, records, '"', ",").tolist() == [2, 3, 1, 1]


def test_regular_records_may_be_parsed_together():
    body = b"a,b\r\n" + b'"a","b ""c"" d"\n' + b'"",\n' + b'a,"x\ny"\n' + b'"last"'
    records = split_records(body, '"', 9, is_end=True)
    assert not irregular(body, records, '"', ",").any()


def test_records_that_readers_may_end_elsewhere_are_told():
    odd = [b'a"b"\n', b'"a"b\n', b'a "b"\n', b'"a" ,b\n', b"a\rb\n", b'"a\rb"\n', b"\xef\xbb\xbfa\n", b"a\r\r\n"]
    body = b"".join(line + b"plain\n" for line in odd)
    records = split_records(body, '"', ANY_SIZE, is_end=False)
    assert np.flatnonzero(irregular(body, records, '"', ",")).tolist() == [2 * n for n in range(len(odd))]
