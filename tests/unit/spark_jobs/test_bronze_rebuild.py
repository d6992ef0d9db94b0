"""Bronze made anew from chunk files is the bronze that the chunker made."""

import shutil
from pathlib import Path

import pytest

from expectations import delta
from expectations.catalog import Lake
from expectations.errors import LakeBusy, LakeMismatch
from expectations.landing import list_chunks
from expectations.locks import chunker_alone
from expectations.places import Location
from orchestration.chunking.audit import check_lake
from spark_jobs import bronze_rebuild
from tests.support.chunking import chunk_all
from tests.support.lake_contents import rows
from tests.support.payment_logs import csv_log, numbered, payment

BRONZE = "payments_raw_bronze"


def comparable(lake: Lake) -> list[dict]:
    """The rows but for when they were ingested."""
    return [{k: v for k, v in row.items() if k != "_ingested_at"} for row in rows(lake, BRONZE, "_row_number")]


def chunked(folder: Location, tmp_path: Path) -> tuple[Lake, list[dict]]:
    """A lake with quarantined entries and archived chunks, and its bronze."""
    lines = numbered(43)
    for bad in (0, 4, 11, 42):
        lines[bad] = payment(amount="x")
    (tmp_path / "log.csv").write_bytes(csv_log(lines))
    lake = Lake(folder)
    chunk_all(tmp_path / "log.csv", lake.root)
    return lake, comparable(lake)


@pytest.mark.parametrize("place", ["tmp_path", "s3_folder"])
def test_a_lost_bronze_comes_back(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch, place: str):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bronze_rebuild, "CHUNKS_PER_COMMIT", 2)
    lake, before = chunked(request.getfixturevalue(place) / "lake", tmp_path)
    forget_bronze(lake)
    written = bronze_rebuild.rebuild(lake, None)
    assert next(written) == 8
    written.close()  # Killed, and run again.
    assert sum(bronze_rebuild.rebuild(lake, None)) == len(before) - 8
    assert comparable(lake) == before
    assert [*bronze_rebuild.rebuild(lake, None)] == []
    assert not [outcome for outcome in check_lake(lake, []) if not outcome.passed]
    assert delta.position(delta.open_table(lake.table(BRONZE)), "chunker") == 43


def forget_bronze(lake: Lake) -> None:
    if isinstance(lake.root, Path):
        shutil.rmtree(lake.table(BRONZE))
    else:
        for found in lake.table(BRONZE).objects():
            found.path.unlink()


def test_what_is_missing_is_said(tmp_path: Path):
    lake, _ = chunked(tmp_path / "lake", tmp_path)
    forget_bronze(lake)
    second = lake.landing / list_chunks(lake.landing)[1].name
    whole = second.read_bytes()
    second.write_bytes(whole[: whole.rindex(b"\n", 0, -1) + 1])
    with pytest.raises(LakeMismatch, match="has 4 rows, and 0 of its 5 entries"):
        [*bronze_rebuild.rebuild(lake, None)]
    second.unlink()
    with pytest.raises(LakeMismatch, match="not all chunks"):
        [*bronze_rebuild.rebuild(lake, None)]


def test_bronze_that_lost_rows_is_not_continued(tmp_path: Path):
    lake, _ = chunked(tmp_path / "lake", tmp_path)
    delta.open_table(lake.table(BRONZE)).delete("_row_number = 7")
    with pytest.raises(LakeMismatch, match="hold 42 of the first 43 entries"):
        [*bronze_rebuild.rebuild(lake, None)]


def test_not_beside_a_chunker(tmp_path: Path):
    lake, _ = chunked(tmp_path / "lake", tmp_path)
    with chunker_alone(lake), pytest.raises(LakeBusy):
        next(bronze_rebuild.rebuild(lake, None))
