"""The chunker: the chunks joined, plus the quarantined entries, are the adapted source, whatever happens meanwhile."""

import gzip
import itertools
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from expectations.catalog import Lake
from expectations.offset import read_offset
from tests.support import lake_contents
from tests.support.chunking import NOW, Interruptions, chunk_all, growing, make_chunker, work
from tests.support.payment_strategies import MadeUpLog, logs
from tests.support.reference_adapter import Entry

LOGS = logs(max_lines=10)
CHUNK_SIZES = st.integers(1, 8)
GROWTH = st.lists(st.integers(0, 1000), max_size=5)
INTERRUPTIONS = st.sets(st.integers(1, 40), max_size=5)


def assert_holds(lake: Lake, log: bytes, entries: list[Entry], chunk_size: int) -> None:
    """Chunks, bronze, quarantine and offset say exactly what the reference says of the log."""
    chunks = lake_contents.chunks(lake)
    firsts = [chunk.first for chunk, _ in chunks]
    ends = [chunk.last + 1 for chunk, _ in chunks]
    assert firsts == [0, *ends][: len(firsts)], "gapless from 0"
    assert all(chunk.first // chunk_size == chunk.last // chunk_size for chunk, _ in chunks), "within the grid"
    assert (ends[-1] if ends else 0) == len(entries)
    good = [entry for entry in entries if entry.row is not None]
    bad = [entry for entry in entries if entry.row is None]
    assert [row for _, rows in chunks for row in rows] == [entry.row for entry in good]
    names = {number: chunk.name for chunk, _ in chunks for number in range(chunk.first, chunk.last + 1)}
    assert lake_contents.rows(lake, "payments_raw_bronze", order_by="_row_number") == [
        entry.row
        | {
            "_ingested_at": NOW,
            "_source_file": names[entry.number],
            "_row_number": entry.number,
            "_chunk": entry.number // chunk_size,
        }
        for entry in good
    ]
    quarantine = lake_contents.rows(lake, "source_quarantine", order_by="entry_number")
    columns = ("entry_number", "byte_offset", "reason_code", "column", "amount_minor", "currency")
    assert [tuple(row[column] for column in columns) for row in quarantine] == [
        (entry.number, entry.byte_offset, entry.reason, entry.column, entry.amount_minor, entry.currency)
        for entry in bad
    ]
    assert [log[row["byte_offset"] :][: row["byte_length"]] for row in quarantine] == [entry.content for entry in bad]
    assert all(row["rule"] and row["quarantined_at"] == NOW for row in quarantine)
    offset = read_offset(lake.offset_file)
    if entries:
        last = entries[-1]
        assert (offset.entries, offset.byte_offset) == (len(entries), last.byte_offset + len(last.content))
        assert (offset.chunk_size, offset.committed_at) == (chunk_size, NOW)


@given(
    log=LOGS,
    chunk_size=CHUNK_SIZES,
    growth=GROWTH,
    stops=INTERRUPTIONS,
    ticks=st.integers(1, 4),
    is_final=st.booleans(),
    has_new_process=st.booleans(),
)
@settings(deadline=None, max_examples=80)
def test_any_growth_ticks_and_interruptions(
    tmp_path_factory, log: MadeUpLog, chunk_size, growth, stops, ticks, is_final, has_new_process
):
    """A log that grows by arbitrary bytes, a few ticks at each size, deaths at arbitrary commit points."""
    folder = tmp_path_factory.mktemp("chunker")
    path, passed = folder / "log.csv", Interruptions(stops)

    def start():
        return make_chunker(path, folder / "lake", chunk_size, passed)

    path.touch()
    chunker = start()
    for content in growing(log.content, growth):
        path.write_bytes(content)
        chunker = work(start, start() if has_new_process else chunker, is_final=False, most=ticks)
    work(start, chunker, is_final, most=1000)
    assert_holds(chunker.lake, log.content, log.entries(is_final), chunk_size)
    offset = read_offset(chunker.lake.offset_file)
    assert (offset is not None and offset.is_final) == is_final
    if is_final:
        assert make_chunker(path, folder / "lake", chunk_size).tick(is_final=True) is None, "nothing is left"


@given(log=LOGS, chunk_size=CHUNK_SIZES, growth=GROWTH, stops=INTERRUPTIONS)
@settings(deadline=None, max_examples=25)
def test_a_packed_log_gives_the_chunks_of_the_plain_one(tmp_path_factory, log: MadeUpLog, chunk_size, growth, stops):
    """Byte for byte; and also when it is worked off by processes that die, and start again in its middle."""
    folder = tmp_path_factory.mktemp("packed")
    (folder / "plain").mkdir()
    (folder / "plain" / "log.csv").write_bytes(log.content)
    members = [0, *(len(log.content) * part // 1000 for part in sorted(growth)), len(log.content)]
    packed = b"".join(gzip.compress(log.content[a:b]) for a, b in itertools.pairwise(members))
    (folder / "log.csv.gz").write_bytes(packed)
    chunk_all(folder / "plain" / "log.csv", folder / "lake-of-plain", chunk_size)

    def start():
        return make_chunker(folder / "log.csv.gz", folder / "lake", chunk_size, passed)

    passed = Interruptions(stops)
    work(start, start(), is_final=False, most=1000)
    plain, unpacked = Lake(folder / "lake-of-plain"), Lake(folder / "lake")
    assert lake_contents.landing_files(unpacked) == lake_contents.landing_files(plain)
    assert unpacked.offset_file.read_bytes() == plain.offset_file.read_bytes()
    assert_holds(unpacked, log.content, log.entries(), chunk_size)


@given(log=LOGS, chunk_size=CHUNK_SIZES, stops=INTERRUPTIONS)
@settings(deadline=None, max_examples=25)
def test_interruptions_leave_no_trace(tmp_path_factory, log: MadeUpLog, chunk_size, stops):
    """On a log that does not grow, landing files and offset are byte for byte those of an undisturbed run."""
    folder = tmp_path_factory.mktemp("chunker")
    path, passed = folder / "log.csv", Interruptions(stops)
    path.write_bytes(log.content)
    chunk_all(path, folder / "undisturbed", chunk_size)

    def start():
        return make_chunker(path, folder / "lake", chunk_size, passed)

    work(start, start(), is_final=True, most=1000)
    lake, undisturbed = Lake(folder / "lake"), Lake(folder / "undisturbed")
    assert lake_contents.landing_files(lake) == lake_contents.landing_files(undisturbed)
    assert lake.offset_file.read_bytes() == undisturbed.offset_file.read_bytes()
    for table, key in (("payments_raw_bronze", "_row_number"), ("source_quarantine", "entry_number")):
        assert lake_contents.rows(lake, table, key) == lake_contents.rows(undisturbed, table, key)


def test_a_tick_tells_what_it_did(tmp_path: Path):
    """Entries, rows, quarantined ones and money by currency."""
    from tests.support.payment_logs import csv_log, payment

    lines = [
        payment(amount="1.50"),
        payment(amount="2", currency="JPY", fee=""),
        payment(amount="-0.25"),
        payment(amount="7", event_type="purchase"),
        payment(amount="x"),
    ]
    path = tmp_path / "log.csv"
    path.write_bytes(csv_log(lines))
    (tick,) = chunk_all(path, tmp_path / "lake", chunk_size=10)
    assert (tick.chunk.first, tick.chunk.last, tick.rows, tick.quarantined) == (0, 4, 3, 2)
    assert (tick.bronze_rows, tick.quarantine_rows, tick.is_adopted) == (3, 2, False)
    assert tick.amount_minor == {"EUR": 125, "JPY": 2} and tick.quarantined_minor == {"EUR": 700}
    assert tick.offset == read_offset(Lake(tmp_path / "lake").offset_file)
    assert tick.path.name == tick.chunk.name and tick.path.exists()
