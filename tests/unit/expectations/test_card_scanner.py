"""The scanner finds planted numbers in every kind of file, tells where, and never what."""

import gzip
import sqlite3
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations import card_scanner
from expectations.card_numbers import find_card_numbers
from expectations.card_scanner import Finding, scan, scan_file
from tests.support.card_data import VISA, card_number, grouped

AMEX = card_number("37", 15)
OVERLAP = card_scanner._OVERLAP_BYTES


def places(path: Path) -> list[str]:
    return [finding.place for finding in scan_file(path)]


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def parquet(path: Path, **columns: pa.Array) -> Path:
    pq.write_table(pa.table(columns), path, row_group_size=2)
    return path


def test_text_and_unknown_bytes(tmp_path: Path):
    path = written(tmp_path / "any.bin", b"\x00\xff" + VISA.encode() + b"\x00" * 20 + grouped(AMEX, "-").encode())
    assert scan_file(path) == [Finding(path, "byte 2", "visa"), Finding(path, "byte 38", "amex")]


def test_packed_files_are_unpacked(tmp_path: Path):
    path = written(tmp_path / "log.gz", gzip.compress(b"x" * 1000 + b" " + VISA.encode()))
    assert places(path) == ["byte 1,001"]
    assert places(written(tmp_path / "two.gz", gzip.compress(b"x") + gzip.compress(VISA.encode()))) == ["byte 1"]


def test_a_packed_file_that_is_cut_or_spoilt_is_read_as_far_as_it_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(card_scanner, "_BLOCK_BYTES", 2 * OVERLAP)
    noise = b"".join(f"line {n} {n * 7919 % 1000}\n".encode() for n in range(5000))
    whole = gzip.compress(VISA.encode() + b"\n" + noise)
    for name, content in (("cut.gz", whole[:-200]), ("spoilt.gz", whole[:-900] + b"\xff" * 900)):
        assert "byte 0" in places(written(tmp_path / name, content))
    for name, content in (("no.gz", b"\x1f\x8b" + VISA.encode()), ("tiny.gz", b"\x1f\x8b")):
        assert places(written(tmp_path / name, content)) == (["byte 2"] if VISA.encode() in content else [])


@pytest.mark.parametrize(
    "values",
    [
        pa.array(["x", VISA]),
        pa.array(["x", VISA], pa.large_string()),
        pa.array(["x", f"paid, {grouped(VISA, ' ')}\nthanks"]),
        pa.array(["x", VISA]).dictionary_encode(),
        pa.array([b"x", VISA.encode()]),
        pa.array([b"\x00\xff", b"\xff" + VISA.encode()], pa.large_binary()),
        pa.array([b"x" * 16, VISA.encode()], pa.binary(16)),
        pa.array([1, int(VISA)]),
        pa.array([1, int(VISA)], pa.uint64()),
        pa.array([None, float(VISA)]),
        pa.array([Decimal(1), Decimal(VISA)]),
        pa.array([["x"], ["y", VISA]]),
        pa.array([{"a": {"b": "x"}}, {"a": {"b": VISA}}]),
        pa.array([[("k", "x")], [("k", VISA)]], pa.map_(pa.string(), pa.string())),
    ],
    ids=lambda values: str(values.type)[:20],
)
def test_parquet_is_read_decoded_whatever_the_column(tmp_path: Path, values: pa.Array):
    """Compressed pages and dictionaries hide a number from whoever reads the bytes."""
    path = parquet(tmp_path / "table.parquet", other=pa.array(["a", "b"]), planted=values)
    assert [place.split(",")[0] for place in places(path)] == ["column planted"]


def test_parquet_of_several_row_groups(tmp_path: Path):
    path = parquet(tmp_path / "table.parquet", text=pa.array(["a", "b", "c", "d", VISA]))
    assert places(path) == ["column text, near row 0 of group 2"]


def test_typed_measures_are_no_card_numbers(tmp_path: Path):
    score = float(f"0.{VISA}")
    instant = datetime(2026, 10, 1, 12, 34, 56, 123456, UTC)
    path = parquet(
        tmp_path / "table.parquet",
        score=pa.array([score, -score, float("inf"), float("nan"), None, 1e300]),
        at=pa.array([instant] * 6),
        epoch_ms=pa.array([int(instant.timestamp() * 1000)] * 6),
        is_on=pa.array([True] * 6),
        nothing=pa.nulls(6),
        empty=pa.array([""] * 6),
    )
    assert places(path) == []


def test_a_parquet_file_that_is_not_whole_is_read_as_bytes(tmp_path: Path):
    whole = parquet(tmp_path / "whole.parquet", text=pa.array(["a"])).read_bytes()
    cut = written(tmp_path / "cut.parquet", whole[:-8] + VISA.encode())
    assert places(cut) == [f"byte {len(whole) - 8:,}"]
    spoilt = tmp_path / "spoilt.parquet"
    columns = {"broken": pa.array([f"text {n}" for n in range(50)]), "planted": pa.array([f"({VISA})"] * 50)}
    pq.write_table(pa.table(columns), spoilt, compression="none", use_dictionary=False)
    content = bytearray(spoilt.read_bytes())
    content[4:40] = b"\xff" * 36
    assert len(places(written(spoilt, bytes(content)))) >= 50


def test_a_database_file(tmp_path: Path):
    path = tmp_path / "events.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE events (body TEXT)")
        database.executemany("INSERT INTO events VALUES (?)", [(f"event {n}",) for n in range(1000)])
        database.execute("INSERT INTO events VALUES (?)", (f'{{"message": "card {VISA} declined"}}',))
    database.close()
    assert [finding.network for finding in scan_file(path)] == ["visa"]


@given(offset=st.integers(-60, 60), spelling=st.sampled_from([VISA, grouped(VISA, " "), card_number("62", 19)]))
@settings(deadline=None, max_examples=60)
def test_across_the_borders_of_blocks_each_is_found_once(tmp_path_factory, offset: int, spelling: str):
    block = 4 * OVERLAP
    path = tmp_path_factory.mktemp("scan") / "file"
    border = block + offset
    content = b"-" * border + b" " + spelling.encode() + b" " + b"-" * block
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(card_scanner, "_BLOCK_BYTES", block)
        assert places(written(path, content)) == [f"byte {border + 1:,}"]


@given(
    pieces=st.lists(st.sampled_from([VISA, AMEX, "ab" * 32, "0123456789" * 4, "a", " ", "-" * 50, "\n"]), max_size=200)
)
@settings(deadline=None, max_examples=60)
def test_blocks_find_what_one_read_finds(tmp_path_factory, pieces: list[str]):
    """Nor does a border make a card number of a part of a hash or of a longer number."""
    content = "".join(pieces).encode()
    path = written(tmp_path_factory.mktemp("scan") / "file", content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(card_scanner, "_BLOCK_BYTES", OVERLAP + 1)
        in_blocks = places(path)
    assert in_blocks == [f"byte {match.start:,}" for match in find_card_numbers(content)]


def test_a_scan_covers_folders_with_all_that_is_below(tmp_path: Path):
    (tmp_path / "a" / ".hidden").mkdir(parents=True)
    hidden = written(tmp_path / "a" / ".hidden" / "file", VISA.encode())
    clean = written(tmp_path / "clean.txt", b"nothing")
    (tmp_path / "a" / "link").symlink_to(tmp_path / "clean.txt")
    (tmp_path / "a" / "gone").symlink_to(tmp_path / "absent")
    report = scan([tmp_path / "a", clean])
    assert (report.files, report.bytes) == (2, len(VISA) + len(b"nothing"))
    assert [finding.path for finding in report.findings] == [hidden]


def test_a_file_that_goes_away_meanwhile_is_passed_over(tmp_path: Path):
    assert scan([tmp_path / "absent"]) == card_scanner.ScanReport(0, 0, ())


def test_a_finding_never_holds_the_number(tmp_path: Path):
    report = scan([written(tmp_path / "file", VISA.encode())])
    assert report.findings and VISA not in repr(report)


def test_a_duckdb_file_is_read_decoded(tmp_path: Path):
    """Its bytes would not do: texts that stand beside each other look like one number, and long ones are packed."""
    path = tmp_path / "warehouse.duckdb"
    with duckdb.connect(path) as connection:
        connection.execute("CREATE SCHEMA silver")
        connection.execute("CREATE TABLE silver.parts AS SELECT '411111' AS bin6, '1111' AS last4 FROM range(3)")
        connection.execute("CREATE VIEW silver.shown AS SELECT bin6 || '111111' || last4 AS made FROM silver.parts")
    assert places(path) == []
    with duckdb.connect(path) as connection:
        connection.execute("CREATE TABLE silver.cards AS SELECT ? AS note, [?] AS notes, 1.5 AS score", [VISA, AMEX])
    assert places(path) == ["column note of silver.cards, in block 0", "column notes of silver.cards, in block 0"]


def test_a_duckdb_file_that_cannot_be_opened_is_read_as_bytes(tmp_path: Path):
    path = written(tmp_path / "spoilt.duckdb", b"\x00" * 8 + b"DUCK" + b"\x00" * 9 + VISA.encode() + b"\x00")
    assert places(path) == ["byte 21"]
