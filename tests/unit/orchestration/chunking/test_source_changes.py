"""A source that is not what it was, or never could be read: one clear error each, and the lake stays as it is."""

import gzip
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from expectations.catalog import Lake
from expectations.errors import LakeBusy, LakeMismatch, SettingsError, SourceError, TollgateError
from expectations.landing import list_chunks
from expectations.offset import read_offset
from expectations.thresholds import FINGERPRINT_BYTES
from orchestration.chunking.chunker import Chunker
from orchestration.chunking.follow import drain
from tests.support import lake_contents
from tests.support.chunking import Interrupted, Interruptions, chunk_all, make_chunker, overwrite_offset
from tests.support.payment_logs import PAYMENT_LINE, banksim, banksim_log, csv_log, numbered, payment

CHUNK_SIZE = 400
LOG = csv_log(numbered(1000))
assert len(LOG) > 2 * FINGERPRINT_BYTES, "head and tail must be different stretches"


@pytest.fixture(scope="module")
def worked_off(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a log, and a lake that has it all, but not as a final one."""
    folder = tmp_path_factory.mktemp("worked_off")
    (folder / "log.csv").write_bytes(LOG)
    chunk_all(folder / "log.csv", folder / "lake", CHUNK_SIZE, is_final=False)
    return folder


@pytest.fixture
def place(worked_off: Path, tmp_path: Path) -> Path:
    """A copy of that folder."""
    return shutil.copytree(worked_off, tmp_path / "place")


def refused(error: type[TollgateError], message: str, chunker: Chunker, is_final: bool = False) -> None:
    """The tick fails with one line that matches, and has changed nothing in the lake; so does the one after it."""
    before = lake_contents.files(chunker.lake.root)
    for _ in range(2):
        with pytest.raises(error, match=message) as raised:
            chunker.tick(is_final)
        assert "\n" not in str(raised.value) and " - " in str(raised.value), "one line, with what to do"
        assert lake_contents.files(chunker.lake.root) == before


def changed(log: bytes, place: int) -> bytes:
    """The log with one byte changed, its length kept."""
    return log[:place] + bytes([log[place] ^ 1]) + log[place + 1 :]


HEADER_LENGTH = LOG.index(b"\n") + 1

CHANGES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "truncated": (lambda log: log[: len(log) // 2], "has shrunk below byte"),
    "truncated by one byte": (lambda log: log[:-1], "has shrunk below byte"),
    "emptied": (lambda log: b"", "is empty, but was not"),
    "cut within its header": (lambda log: log[:20], "is empty, but was not"),
    "rotated": (lambda log: csv_log([payment(transaction_id=f"new {n}") for n in range(1200)]), "rewritten or rotated"),
    "its first entry rewritten": (lambda log: changed(log, HEADER_LENGTH), "rewritten or rotated"),
    "its last entry rewritten": (lambda log: changed(log, len(log) - 2), "rewritten or rotated"),
    "the end of its head rewritten": (lambda log: changed(log, FINGERPRINT_BYTES - 1), "rewritten or rotated"),
    "the begin of its tail rewritten": (lambda log: changed(log, len(log) - FINGERPRINT_BYTES), "rewritten or rotated"),
    "a line put in": (lambda log: log[:HEADER_LENGTH] + b"new\n" + log[HEADER_LENGTH:], "rewritten or rotated"),
    "a column renamed": (lambda log: log.replace(b"city", b"town", 1), "rewritten or rotated"),
    "a required column renamed": (lambda log: log.replace(b"amount", b"amounts", 1), "missing required column amount"),
    "another format": (lambda log: banksim_log([banksim()] * 9000), "the lake holds the log log .tollgate., not log"),
    "no text any more": (lambda log: log.decode().encode("utf-16"), "not UTF-8 text"),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("is_new_process", [False, True], ids=["while it runs", "while it is away"])
def test_a_log_that_is_not_what_it_was(place: Path, change: str, is_new_process: bool):
    how, message = CHANGES[change]
    log = place / "log.csv"
    chunker = make_chunker(log, place / "lake", CHUNK_SIZE)
    assert chunker.tick() is None, "nothing new, and nothing wrong"
    log.write_bytes(how(LOG))
    error = LakeMismatch if change == "another format" else SourceError
    refused(error, message, make_chunker(log, place / "lake", CHUNK_SIZE) if is_new_process else chunker)


def test_a_restored_log_goes_on(place: Path):
    log = place / "log.csv"
    chunker = make_chunker(log, place / "lake", CHUNK_SIZE)
    log.write_bytes(LOG[:1000])
    refused(SourceError, "has shrunk", chunker)
    log.write_bytes(LOG + csv_log(numbered(3)).split(b"\n", 1)[1])
    assert chunker.tick().rows == 3


def test_a_log_that_goes_away_meanwhile(place: Path):
    chunker = make_chunker(place / "log.csv", place / "lake", CHUNK_SIZE)
    assert chunker.tick() is None
    (place / "log.csv").unlink()
    refused(SourceError, "cannot be opened", chunker)
    refused(SourceError, "no such transaction log", make_chunker(place / "log.csv", place / "lake", CHUNK_SIZE))


def test_another_log_does_not_go_into_the_lake(place: Path):
    shutil.copy(place / "log.csv", place / "other.csv")
    refused(
        LakeMismatch, "holds the log log .*not other", make_chunker(place / "other.csv", place / "lake", CHUNK_SIZE)
    )


def test_another_chunk_size_does_not_go_into_the_lake(place: Path):
    refused(LakeMismatch, "grid is 400 entries, not 500", make_chunker(place / "log.csv", place / "lake", 500))


def test_a_final_log_that_has_grown(place: Path):
    log = place / "log.csv"
    assert make_chunker(log, place / "lake", CHUNK_SIZE).tick(is_final=True) is None
    assert read_offset(Lake(place / "lake").offset_file).is_final
    log.write_bytes(LOG + b"more\n")
    for is_final in (False, True):
        refused(SourceError, "declared final .*but has grown", make_chunker(log, place / "lake", CHUNK_SIZE), is_final)


def test_the_log_may_grow_while_it_is_not_final(place: Path):
    log = place / "log.csv"
    chunker = make_chunker(log, place / "lake", CHUNK_SIZE)
    log.write_bytes(LOG + b"torn")
    assert chunker.tick() is None, "a torn line waits"
    log.write_bytes(LOG + b"torn no more\n")
    assert (chunker.tick().quarantined, chunker.tick()) == (1, None)


def test_a_damaged_offset(place: Path):
    lake = Lake(place / "lake")
    lake.offset_file.write_bytes(lake.offset_file.read_bytes()[:-10])
    refused(LakeMismatch, "not an offset file", make_chunker(place / "log.csv", lake.root, CHUNK_SIZE))


def test_a_lost_offset(place: Path):
    """Chunks without an offset are not written over."""
    lake = Lake(place / "lake")
    lake.offset_file.unlink()
    refused(LakeMismatch, "chunks but no offset", make_chunker(place / "log.csv", lake.root, CHUNK_SIZE))


def test_a_lost_offset_after_the_chunks_were_archived(place: Path):
    lake = Lake(place / "lake")
    lake.offset_file.unlink()
    lake.landing.rename(lake.archive)
    refused(LakeMismatch, "chunks but no offset", make_chunker(place / "log.csv", lake.root, CHUNK_SIZE))


def test_an_offset_beyond_the_end_of_the_log(place: Path):
    lake = Lake(place / "lake")
    offset = read_offset(lake.offset_file)
    overwrite_offset(lake.offset_file, type(offset)(**{**vars(offset), "byte_offset": len(LOG) + 1}))
    refused(SourceError, "has shrunk", make_chunker(place / "log.csv", lake.root, CHUNK_SIZE))


FIRST_TICKS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "the log is empty"),
    "UTF-16": (LOG.decode().encode("utf-16"), "not UTF-8 text"),
    "UTF-16 without a mark": (LOG.decode().encode("utf-16-le"), "not UTF-8 text"),
    "Latin-1": ("Händler,Kundin\n1,2\n".encode("latin-1"), "not UTF-8 text"),
    "packed, but called csv": (gzip.compress(LOG), "not UTF-8 text"),
    "without a column": (LOG.replace(b"merchant_id", b"shop", 1), "missing required column merchant_id"),
    "without a header": (LOG.split(b"\n", 1)[1], "missing required column"),
    "with a column twice": (LOG.replace(b",city,", b",lat,", 1), "same name"),
    "without lines": (b"x" * 100_000, "no header line"),
}


@pytest.mark.parametrize("what", FIRST_TICKS)
def test_a_log_that_cannot_be_read(tmp_path: Path, what: str):
    content, message = FIRST_TICKS[what]
    (tmp_path / "log.csv").write_bytes(content)
    chunker = make_chunker(tmp_path / "log.csv", tmp_path / "lake")
    refused(SourceError, message, chunker, is_final=True)
    assert lake_contents.files(tmp_path / "lake") == {}


def test_an_empty_log_may_still_come_to_life(tmp_path: Path):
    log = tmp_path / "log.csv"
    chunker = make_chunker(log, tmp_path / "lake")
    for content in (b"", LOG[:10], LOG[: HEADER_LENGTH - 1], LOG[:HEADER_LENGTH]):
        log.write_bytes(content)
        assert chunker.tick() is None
        assert lake_contents.files(tmp_path / "lake") == {}
    log.write_bytes(csv_log(numbered(2)))
    assert chunker.tick().rows == 2


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz"])
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_final_log_may_have_a_header_alone(tmp_path: Path, name: str, end: bytes):
    content = ",".join(PAYMENT_LINE).encode() + end
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    assert chunk_all(tmp_path / name, tmp_path / "lake") == []
    offset = read_offset(Lake(tmp_path / "lake").offset_file)
    assert (offset.entries, offset.byte_offset, offset.is_final) == (0, len(content), True)


@pytest.mark.parametrize("absent", ["absent.csv", "absent.csv.gz", ""])
def test_a_log_that_is_not_there(tmp_path: Path, absent: str):
    refused(
        SourceError,
        re.escape(f"no such transaction log ({tmp_path / absent})"),
        make_chunker(tmp_path / absent, tmp_path / "lake"),
    )


def test_without_a_key_a_log_with_card_numbers_is_not_touched(tmp_path: Path):
    def no_key():
        raise SettingsError("there is no key", remedy="make one")

    (tmp_path / "log.csv").write_bytes(LOG)
    refused(
        SettingsError, "there is no key", make_chunker(tmp_path / "log.csv", tmp_path / "lake", make_tokeniser=no_key)
    )


def test_a_killed_first_tick_binds_the_lake_to_its_log_and_grid(tmp_path: Path):
    """Nothing is committed yet, but entries are claimed: another log or a finer grid would not fit them."""
    for name in ("log.csv", "other.csv"):
        (tmp_path / name).write_bytes(csv_log(numbered(9)))
    with pytest.raises(Interrupted, match="chunk"):
        make_chunker(tmp_path / "log.csv", tmp_path / "lake", 5, Interruptions({3})).tick()
    refused(LakeMismatch, "holds the log log", make_chunker(tmp_path / "other.csv", tmp_path / "lake", 5))
    refused(LakeMismatch, "grid is 5 entries, not 4", make_chunker(tmp_path / "log.csv", tmp_path / "lake", 4))
    assert make_chunker(tmp_path / "log.csv", tmp_path / "lake", 5).tick().is_adopted


def test_a_chunk_left_behind_must_fit_the_log(tmp_path: Path):
    log = tmp_path / "log.csv"
    log.write_bytes(csv_log(numbered(5)))
    with pytest.raises(Interrupted, match="chunk"):
        make_chunker(log, tmp_path / "lake", 5, Interruptions({3})).tick()
    log.write_bytes(csv_log(numbered(4)))
    refused(SourceError, "lacks entries that were chunked", make_chunker(log, tmp_path / "lake", 5))
    log.write_bytes(csv_log([*numbered(4), payment(amount="x")]))
    with pytest.raises(LakeMismatch, match="the chunk has 5 rows where the log has 4"):
        make_chunker(log, tmp_path / "lake", 5).tick()


def test_entries_that_were_quarantined_before_the_log_grew_are_not_doubled(tmp_path: Path):
    """A tick dies after its quarantine; the next one takes what was claimed, though more is there by then."""
    log = tmp_path / "log.csv"
    lines = [payment(amount="x"), payment(), payment(amount="y")]
    log.write_bytes(csv_log(lines[:2]))
    with pytest.raises(Interrupted, match="quarantine"):
        make_chunker(log, tmp_path / "lake", 5, Interruptions({2})).tick()
    log.write_bytes(csv_log(lines))
    assert [tick.quarantined for tick in drain(make_chunker(log, tmp_path / "lake", 5))] == [1, 1]
    rows = lake_contents.rows(Lake(tmp_path / "lake"), "source_quarantine", "entry_number")
    assert [row["entry_number"] for row in rows] == [0, 2]


def test_two_chunkers_at_once(place: Path):
    """One works; the other says so, and may start when the first is done."""
    first, second = (make_chunker(place / "log.csv", place / "lake", CHUNK_SIZE) for _ in range(2))
    before = lake_contents.files(place / "lake")
    with first.alone():
        with pytest.raises(LakeBusy, match="another chunker is working on this lake"), second.alone():
            pytest.fail("two at once")
        assert first.tick() is None
    with second.alone():
        assert second.tick() is None
    assert lake_contents.files(place / "lake") == before


def test_the_lock_is_let_go_after_an_error(place: Path):
    chunker = make_chunker(place / "log.csv", place / "lake", 7)
    for _ in range(2):
        with pytest.raises(LakeMismatch), chunker.alone():
            chunker.tick()


def test_two_chunkers_in_turn(tmp_path: Path):
    """Each sees what the other has done, though both keep their tables and position open."""
    log = tmp_path / "log.csv"
    chunkers = [make_chunker(log, tmp_path / "lake", 4) for _ in range(2)]
    for turn in range(1, 7):
        log.write_bytes(csv_log(numbered(3 * turn)))
        while chunkers[turn % 2].tick():
            pass
    lake = Lake(tmp_path / "lake")
    assert [row["_row_number"] for row in lake_contents.rows(lake, "payments_raw_bronze", "_row_number")] == [
        *range(18)
    ]
    assert [chunk.first for chunk in list_chunks(lake.landing)] == [0, 3, 4, 6, 8, 9, 12, 15, 16]
