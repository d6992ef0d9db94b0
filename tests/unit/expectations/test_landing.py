"""The landing zone: names say what is inside, and what is written is read back."""

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations.landing import Chunk, encode_chunk, list_chunks, read_chunk, write_chunk
from expectations.payments import PAYMENT
from tests.support.payment_tables import payment_tables

CHUNKS = st.builds(
    lambda first, entries, source: Chunk(first, first + entries - 1, source),
    first=st.integers(0, 10**12),
    entries=st.integers(1, 10**6),
    source=st.from_regex(r"[A-Za-z0-9_-]{1,30}", fullmatch=True),
)


@given(chunk=CHUNKS)
@settings(deadline=None, max_examples=100)
def test_a_name_says_what_is_inside(tmp_path_factory, chunk: Chunk):
    folder = tmp_path_factory.mktemp("landing")
    (folder / chunk.name).touch()
    assert list_chunks(folder) == [chunk]


def test_a_source_may_look_like_positions(tmp_path: Path):
    chunk = Chunk(5, 9, "log_000000000001_000000000002")
    (tmp_path / chunk.name).touch()
    assert list_chunks(tmp_path) == [chunk]


def test_names_sort_like_positions():
    chunks = [Chunk(first, first + 9, "log") for first in (0, 10, 90, 100, 999_990, 10**11)]
    assert sorted(chunk.name for chunk in chunks) == [chunk.name for chunk in chunks]


def test_other_files_are_no_chunks(tmp_path: Path):
    for name in (".chunk_a_0_1.csv.tmp", "chunk_a_0.csv", "chunk_a_0_1.csv.gz", "chunk__x_y.csv", "readme.txt"):
        (tmp_path / name).touch()
    assert list_chunks(tmp_path) == [] == list_chunks(tmp_path / "absent")


@pytest.mark.parametrize(("first", "cell"), [(0, 0), (99, 0), (100, 1), (250, 2)])
def test_the_cell_of_a_chunk(first: int, cell: int):
    chunk = Chunk(first, first, "log")
    assert (chunk.cell(100), chunk.entries) == (cell, 1)


@given(rows=payment_tables(max_rows=4))
@settings(deadline=None, max_examples=80)
def test_what_is_written_is_read_back(tmp_path_factory, rows: pa.Table):
    """Nulls and empty texts, newlines and quotes, floats to the last bit."""
    folder = tmp_path_factory.mktemp("landing")
    path = write_chunk(folder, Chunk(0, 9, "log"), encode_chunk(rows))
    assert read_chunk(path).equals(rows)
    assert encode_chunk(read_chunk(path)) == path.read_bytes()
    some = ("merchant_name", "amount_minor", "event_timestamp")
    assert read_chunk(path, some).equals(rows.select(some).cast(pa.schema([PAYMENT.arrow().field(n) for n in some])))


def test_a_chunk_without_rows_has_its_header(tmp_path: Path):
    path = write_chunk(tmp_path, Chunk(0, 9, "log"), encode_chunk(PAYMENT.arrow().empty_table()))
    assert path.read_text() == ",".join(f'"{name}"' for name in PAYMENT.columns) + "\n"
    assert read_chunk(path).equals(PAYMENT.arrow().empty_table())


def test_a_chunk_appears_whole_and_leaves_nothing_beside_it(tmp_path: Path):
    chunk = Chunk(0, 9, "log")
    (tmp_path / f".{chunk.name}.tmp").write_text("left by a killed writer")
    write_chunk(tmp_path, chunk, b"new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [(chunk.name, b"new")]
