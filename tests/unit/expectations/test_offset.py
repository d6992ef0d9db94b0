"""`offset.csv`: what is written is read back, and anything else is refused."""

import dataclasses
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations.card_numbers import fingerprint
from expectations.errors import LakeMismatch
from expectations.offset import Offset, read_fenced, read_offset, write_offset
from expectations.places import Superseded
from tests.support.chunking import overwrite_offset

OFFSET = Offset(
    source="company",
    adapter="tollgate",
    chunk_size=10_000,
    head_fingerprint=fingerprint(b"head"),
    tail_fingerprint=fingerprint(b"tail"),
    entries=25_000,
    byte_offset=9_876_543,
    is_final=False,
    committed_at=datetime(2026, 11, 20, 12, 0, 0, 123_456, UTC),
)

OFFSETS = st.builds(
    Offset,
    source=st.from_regex(r"[A-Za-z0-9_-]{1,30}", fullmatch=True),
    adapter=st.sampled_from(["tollgate", "banksim"]),
    chunk_size=st.integers(1, 10**6),
    head_fingerprint=st.binary(max_size=9).map(fingerprint),
    tail_fingerprint=st.binary(max_size=9).map(fingerprint),
    entries=st.integers(0, 10**12),
    byte_offset=st.integers(0, 10**15),
    is_final=st.booleans(),
    committed_at=st.datetimes(timezones=st.just(UTC)),
    claimed_upto=st.none() | st.integers(1, 10**12),
)


@given(offset=OFFSETS)
@settings(deadline=None, max_examples=50)
def test_what_is_written_is_read_back(tmp_path_factory, offset: Offset):
    path = tmp_path_factory.mktemp("state") / "offset.csv"
    overwrite_offset(path, offset)
    assert read_offset(path) == offset
    content = path.read_bytes()
    overwrite_offset(path, offset)
    assert path.read_bytes() == content, "the same offset gives the same bytes"


def test_without_a_file_there_is_no_offset(tmp_path: Path):
    assert read_offset(tmp_path / "offset.csv") is None


def test_it_is_replaced_and_leaves_nothing_beside_it(tmp_path: Path):
    path = tmp_path / "state" / "offset.csv"
    for entries in (1, 2):
        overwrite_offset(path, dataclasses.replace(OFFSET, entries=entries))
    assert read_offset(path).entries == 2
    assert list(path.parent.iterdir()) == [path]


def test_a_writer_that_was_overtaken_hears_of_it(tmp_path: Path):
    path = tmp_path / "offset.csv"
    first = write_offset(path, OFFSET, over=None)
    second = write_offset(path, dataclasses.replace(OFFSET, entries=26_000), over=first)
    for stale in (None, first, "rubbish"):
        with pytest.raises(Superseded):
            write_offset(path, OFFSET, over=stale)
    assert read_fenced(path) == (dataclasses.replace(OFFSET, entries=26_000), second)


def test_an_offset_from_before_there_were_claims_has_none(tmp_path: Path):
    path = tmp_path / "offset.csv"
    overwrite_offset(path, OFFSET)
    header, row = path.read_text().splitlines()
    path.write_text(f"{header.removesuffix(',claimed_upto')}\n{row.removesuffix(',')}\n")
    assert read_offset(path) == OFFSET


def test_it_is_refused_when_cut_off_anywhere(tmp_path: Path):
    path = tmp_path / "offset.csv"
    overwrite_offset(path, OFFSET)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(LakeMismatch, match=r"not an offset file.*offset\.csv"):
            read_offset(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("25000", "many"),
        ("25000", "-1"),
        ("25000", ""),
        ("9876543", "-1"),
        ("9876543", "1.5"),
        ("10000", "0"),
        ("false", "maybe"),
        ("2026-11-20", "yesterday"),
        ("entries", "rows"),
        (",false", ""),
        ("company", "com\x00\xff"),
        ("company", '"company'),
        ("company,", "company,company,"),
    ],
)
def test_it_is_refused_when_it_makes_no_sense(tmp_path: Path, old: str, new: str):
    path = tmp_path / "offset.csv"
    overwrite_offset(path, OFFSET)
    path.write_bytes(path.read_bytes().replace(old.encode(), new.encode("latin-1"), 2))
    with pytest.raises(LakeMismatch, match="not an offset file"):
        read_offset(path)


@pytest.mark.parametrize("content", [b"", b"\n", b"\x00" * 100, b"\xff\xfe", b"a,b\n1,2\n", b'"' * 200_000])
def test_rubbish_is_refused(tmp_path: Path, content: bytes):
    path = tmp_path / "offset.csv"
    path.write_bytes(content)
    with pytest.raises(LakeMismatch, match="not an offset file"):
        read_offset(path)


def test_two_rows_are_refused(tmp_path: Path):
    path = tmp_path / "offset.csv"
    overwrite_offset(path, OFFSET)
    header, row = path.read_text().splitlines()
    path.write_text(f"{header}\n{row}\n{row}\n")
    with pytest.raises(LakeMismatch, match="not an offset file"):
        read_offset(path)


@pytest.mark.parametrize(
    ("entries", "is_final", "cells"),
    [(0, False, 0), (0, True, 0), (9, False, 0), (9, True, 1), (10, False, 1), (10, True, 1), (11, True, 2)],
)
def test_a_cell_is_complete_when_nothing_more_can_come_into_it(entries: int, is_final: bool, cells: int):
    offset = dataclasses.replace(OFFSET, chunk_size=10, entries=entries, is_final=is_final)
    assert offset.complete_cells == cells
