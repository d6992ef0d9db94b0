"""A `.gz` log is a finished source, streamed: what is special about it beside the plain one."""

import gzip
from pathlib import Path

import pytest

from expectations.catalog import Lake
from expectations.errors import SourceError
from expectations.offset import read_offset
from orchestration.chunking import source_log
from tests.support import lake_contents
from tests.support.chunking import chunk_all, make_chunker
from tests.support.payment_logs import csv_log, numbered

LOG = csv_log(numbered(1000))
CHUNK_SIZE = 100


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    path = tmp_path / "log.csv.gz"
    path.write_bytes(gzip.compress(LOG))
    return path


def test_it_is_final_without_being_told(packed: Path, tmp_path: Path):
    ticks = chunk_all(packed, tmp_path / "lake", CHUNK_SIZE, is_final=False)
    assert [tick.offset.is_final for tick in ticks] == [False] * 9 + [True]
    assert read_offset(Lake(tmp_path / "lake").offset_file).byte_offset == len(LOG)


def test_a_new_process_goes_on_in_its_middle(packed: Path, tmp_path: Path):
    chunk_all(packed, tmp_path / "at-once", CHUNK_SIZE)
    for _ in range(10):
        make_chunker(packed, tmp_path / "lake", CHUNK_SIZE).tick()
    at_once, lake = Lake(tmp_path / "at-once"), Lake(tmp_path / "lake")
    assert lake_contents.landing_files(lake) == lake_contents.landing_files(at_once)
    assert lake.offset_file.read_bytes() == at_once.offset_file.read_bytes()


def test_the_plain_log_goes_on_where_the_packed_one_stopped(packed: Path, tmp_path: Path):
    """They are one source: positions are those of the unpacked bytes."""
    for _ in range(3):
        make_chunker(packed, tmp_path / "lake", CHUNK_SIZE).tick()
    (tmp_path / "log.csv").write_bytes(LOG)
    ticks = chunk_all(tmp_path / "log.csv", tmp_path / "lake", CHUNK_SIZE)
    assert [tick.chunk.first for tick in ticks] == list(range(300, 1000, CHUNK_SIZE))


def test_its_cost_does_not_grow_with_the_position(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It is unpacked from its head to check it at the start, and from then on once, however many ticks there are."""
    opened = []
    original = gzip.open
    monkeypatch.setattr(source_log.gzip, "open", lambda *arguments: opened.append(1) or original(*arguments))
    chunker = make_chunker(packed, tmp_path / "lake", CHUNK_SIZE)
    openings = []
    while chunker.tick():
        openings.append(len(opened))
    assert len(openings) == 10
    assert openings[-1] == openings[0]


def test_a_cut_one_is_one_clear_error_and_what_came_before_stays(packed: Path, tmp_path: Path):
    packed.write_bytes(packed.read_bytes()[:-2000])
    chunker = make_chunker(packed, tmp_path / "lake", CHUNK_SIZE)
    ticks = []
    with pytest.raises(SourceError, match="not a whole gzip file"):
        while tick := chunker.tick():
            ticks.append(tick)
    before = lake_contents.files(tmp_path / "lake")
    assert (ticks == []) == (read_offset(Lake(tmp_path / "lake").offset_file) is None)
    with pytest.raises(SourceError, match="not a whole gzip file"):
        chunker.tick()
    assert lake_contents.files(tmp_path / "lake") == before
    packed.write_bytes(gzip.compress(LOG))
    chunk_all(packed, tmp_path / "lake", CHUNK_SIZE)
    chunk_all(packed, tmp_path / "undisturbed", CHUNK_SIZE)
    lakes = Lake(tmp_path / "lake"), Lake(tmp_path / "undisturbed")
    assert lake_contents.landing_files(lakes[0]) == lake_contents.landing_files(lakes[1])


def test_one_that_is_not_packed_is_one_clear_error(tmp_path: Path):
    (tmp_path / "log.csv.gz").write_bytes(LOG)
    with pytest.raises(SourceError, match="not a whole gzip file"):
        make_chunker(tmp_path / "log.csv.gz", tmp_path / "lake").tick()
    assert lake_contents.files(tmp_path / "lake") == {}
