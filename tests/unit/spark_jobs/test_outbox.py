"""The outbox: what is stored, in which order, and the files of exactly 50 that leave it."""

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations.catalog import Lake
from expectations.thresholds import DETECTIONS_PER_FILE
from spark_jobs.pattern_detector import outbox
from spark_jobs.pattern_detector.patterns import Flip, Pattern
from tests.support_naive.lakes import outcome
from tests.support_naive.logs import NOW

BEGAN = NOW - timedelta(seconds=1, milliseconds=250)


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


class KillAt:
    """Dies when a commit point is passed for the n-th time."""

    def __init__(self, point: str, nth: int = 1):
        self.point, self.left = point, nth

    def __call__(self, point: str) -> None:
        self.left -= point == self.point
        if self.left == 0 and point == self.point:
            raise Killed(point)


def flip(place: int, cell: int = 0, holds: bool = True, is_first: bool = True, pattern=Pattern.CHILD) -> Flip:
    return Flip(cell, place, pattern, f"c{place}", "m", holds, is_first)


def flips(begin: int, end: int, cell: int = 0) -> list[Flip]:
    return [flip(place, cell) for place in range(begin, end)]


def store(lake: Lake, found: list[Flip], upto: int = 1, now: datetime = NOW) -> int:
    return outbox.store_detections(lake, found, upto, BEGAN, now)


@pytest.fixture
def lake(tmp_path):
    return Lake(tmp_path)


def file_rows(content: bytes) -> list[list[str]]:
    return [*csv.reader(io.StringIO(content.decode()))]


def test_detections_are_stored_in_order_with_both_times(lake):
    found = [flip(3, pattern=Pattern.UPGRADE), flip(1, cell=2), Flip(2, 7, Pattern.DEI_NEEDED, "", "m", True, True)]
    assert store(lake, found, upto=3) == 3
    rows = outbox.read_detections(lake).to_pylist()
    assert [tuple(row.values()) for row in rows] == [
        (0, 0, "PatId1", "UPGRADE", "c3", "m", BEGAN, NOW),
        (1, 2, "PatId2", "CHILD", "c1", "m", BEGAN, NOW),
        (2, 2, "PatId3", "DEI-NEEDED", "", "m", BEGAN, NOW),
    ]
    assert outbox.read_detections(lake, begin=2).to_pylist() == rows[2:]


def test_only_what_is_raised_for_the_first_time_is_a_detection(lake):
    found = [flip(1, holds=False, is_first=False), flip(2, is_first=False), flip(3)]
    assert store(lake, found) == 1
    assert outbox.read_detections(lake)["customer_id"].to_pylist() == ["c3"]


def test_cells_that_are_evaluated_again_add_nothing(lake):
    """In the same cut, a coarser and a finer one, at another time."""
    store(lake, flips(0, 3, cell=0) + flips(3, 5, cell=1), upto=2)
    before = outbox.read_detections(lake)
    later = NOW + timedelta(hours=1)
    assert store(lake, flips(0, 3, cell=0), upto=1, now=later) == 0
    assert store(lake, flips(0, 3, cell=0) + flips(3, 5, cell=1), upto=2, now=later) == 0
    assert outbox.read_detections(lake) == before
    assert store(lake, flips(3, 5, cell=1) + flips(5, 6, cell=2), upto=3, now=later) == 1
    assert outbox.read_detections(lake)["sequence"].to_pylist() == [*range(6)]
    assert outbox.read_detections(lake).slice(0, 5) == before


def test_nothing_waits_in_a_new_lake(lake):
    assert outbox.write_files(lake) == outbox.write_files(lake, drain=True) == []
    assert not outbox.files_due(lake)
    assert outbox.read_detections(lake).to_pylist() == []


def test_forty_nine_wait_and_fifty_leave(lake):
    store(lake, flips(0, 49))
    assert not outbox.files_due(lake)
    assert outbox.write_files(lake) == []
    store(lake, flips(49, 50, cell=1), upto=2)
    assert outbox.files_due(lake)
    (path,) = outbox.write_files(lake)
    assert len(file_rows(path.read_bytes())) == 1 + DETECTIONS_PER_FILE == 51
    assert not outbox.files_due(lake)
    assert outbox.write_files(lake) == []


def test_every_file_that_is_due_is_written_at_once(lake):
    store(lake, flips(0, 120))
    paths = outbox.write_files(lake)
    assert [len(file_rows(path.read_bytes())) for path in paths] == [51, 51]
    rows = [row for path in paths for row in file_rows(path.read_bytes())[1:]]
    assert [row[4] for row in rows] == [f"c{place}" for place in range(100)]


def test_the_name_tells_the_time_of_the_last_record_and_the_number(lake):
    store(lake, flips(0, 49))
    last = NOW + timedelta(days=1)
    store(lake, flips(49, 50, cell=1), upto=2, now=last)
    store(lake, flips(50, 100, cell=2), upto=3, now=last + timedelta(seconds=7))
    assert [path.name for path in outbox.write_files(lake)] == [
        f"detections_{int(last.timestamp())}_000001.csv",
        f"detections_{int(last.timestamp()) + 7}_000002.csv",
    ]


def test_columns_and_times_of_a_file(lake):
    """Stored in UTC, shown in India's time: five and a half hours later, to the millisecond."""
    began = datetime(2025, 12, 31, 18, 29, 59, 999_999, UTC)
    detected = datetime(2025, 12, 31, 18, 30, 0, 1_000, UTC)
    found = [
        Flip(0, 0, Pattern.UPGRADE, 'Zoë "Z"', "a,b", True, True),
        Flip(0, 1, Pattern.DEI_NEEDED, "", "m", True, True),
    ]
    outbox.store_detections(lake, found, 1, began, detected)
    (path,) = outbox.write_files(lake, drain=True)
    assert path.read_bytes().decode() == (
        "YStartTime(IST),detectionTime(IST),patternId,ActionType,customerName,MerchantId\n"
        '2025-12-31 23:59:59.999,2026-01-01 00:00:00.001,PatId1,UPGRADE,"Zoë ""Z""","a,b"\n'
        "2025-12-31 23:59:59.999,2026-01-01 00:00:00.001,PatId3,DEI-NEEDED,,m\n"
    )


def test_a_partial_file_and_what_follows_it(lake):
    store(lake, flips(0, 20))
    (partial,) = outbox.write_files_alone(lake, drain=True)
    assert partial.name.endswith("_000001_partial.csv")
    assert outbox.write_files_alone(lake, drain=True) == []
    store(lake, flips(20, 69, cell=1), upto=2)
    assert outbox.write_files(lake) == []
    store(lake, flips(69, 75, cell=2), upto=3)
    (full,) = outbox.write_files(lake)
    assert full.name.endswith("_000002.csv")
    (rest,) = outbox.write_files(lake, drain=True)
    assert rest.name.endswith("_000003_partial.csv")
    names = [[row[4] for row in file_rows(path.read_bytes())[1:]] for path in (partial, full, rest)]
    assert [len(part) for part in names] == [20, 50, 5]
    assert [name for part in names for name in part] == [f"c{place}" for place in range(75)]
    ledger = outcome(lake).ledger
    assert [(row["first_sequence"], row["last_sequence"], row["is_partial"]) for row in ledger] == [
        (0, 19, True),
        (20, 69, False),
        (70, 74, True),
    ]


def test_draining_exactly_fifty_gives_a_full_file(lake):
    store(lake, flips(0, 100))
    assert [path.name.endswith("_partial.csv") for path in outbox.write_files(lake, drain=True)] == [False, False]


@pytest.mark.parametrize("point", ["file_written", "file_entered"])
@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize("drain", [False, True])
def test_a_killed_writer_leaves_what_an_undisturbed_one_leaves(tmp_path, point, nth, drain):
    undisturbed, killed = Lake(tmp_path / "undisturbed"), Lake(tmp_path / "killed")
    for lake in (undisturbed, killed):
        store(lake, flips(0, 130))
    shown = outbox.write_files(undisturbed, drain)
    with pytest.raises(Killed):
        outbox.write_files(killed, drain, KillAt(point, nth))
    assert outbox.files_due(killed)
    outbox.write_files(killed, drain)
    assert not outbox.files_due(killed)
    assert outcome(killed) == outcome(undisturbed)
    assert {*outcome(killed).files} == {path.name for path in shown}


def test_a_file_that_was_not_entered_when_its_writer_died_is_written_anew(lake):
    """Under another name, if more has come in the meantime: a drained file was cut short, and is full now."""
    store(lake, flips(0, 20))
    with pytest.raises(Killed):
        outbox.write_files(lake, True, KillAt("file_written"))
    store(lake, flips(20, 50, cell=1), upto=2, now=NOW + timedelta(minutes=1))
    (path,) = outbox.write_files(lake)
    assert [*outcome(lake).files] == [path.name]
    assert len(file_rows(path.read_bytes())) == 51


@given(
    st.lists(
        st.one_of(st.integers(1, 120), st.sampled_from(["write", "drain", "file_written", "file_entered"])), max_size=8
    )
)
@settings(max_examples=8, deadline=None)
def test_however_it_is_interrupted_the_files_hold_the_outbox_in_order(tmp_path_factory, steps):
    lake, stored = Lake(tmp_path_factory.mktemp("lake")), 0
    for upto, step in enumerate([*steps, "drain"], start=1):
        if isinstance(step, int):
            store(lake, flips(stored, stored + step, cell=upto - 1), upto)
            stored += step
        elif step in ("write", "drain"):
            outbox.write_files(lake, drain=step == "drain")
        else:
            try:
                outbox.write_files(lake, drain=True, passed=KillAt(step))
            except Killed:
                continue
    found = outcome(lake)
    assert [*found.files] == sorted(row["name"] for row in found.ledger)
    names = [row[4] for entry in found.ledger for row in file_rows(found.files[entry["name"]])[1:]]
    assert names == [f"c{place}" for place in range(stored)]
    for entry in found.ledger:
        assert entry["is_partial"] == (len(file_rows(found.files[entry["name"]])) <= DETECTIONS_PER_FILE)


def status(lake: Lake) -> dict[tuple[str, str, str], tuple[bool, int]]:
    rows = outcome(lake).status
    return {(r["pattern_id"], r["customer_id"], r["merchant_id"]): (r["holds"], r["cell"]) for r in rows}


def test_the_status_is_that_of_the_last_flip(lake):
    outbox.store_status(lake, [])
    assert status(lake) == {}
    outbox.store_status(lake, [flip(1, cell=0), flip(2, cell=0), flip(1, cell=3, holds=False, is_first=False)])
    assert status(lake) == {("PatId2", "c1", "m"): (False, 3), ("PatId2", "c2", "m"): (True, 0)}
    outbox.store_status(lake, [flip(1, cell=5, is_first=False)])
    assert status(lake) == {("PatId2", "c1", "m"): (True, 5), ("PatId2", "c2", "m"): (True, 0)}


@given(st.data())
@settings(max_examples=6, deadline=None)
def test_the_status_does_not_depend_on_repetitions_of_earlier_cells(tmp_path_factory, data):
    """Each flip turns the one before it; batches of cells are stored again, from any earlier one on."""
    lake = Lake(tmp_path_factory.mktemp("lake"))
    cells = data.draw(st.lists(st.sets(st.integers(0, 3)), min_size=1, max_size=8))
    holds = dict.fromkeys(range(4), False)
    found, last = [], {}
    for cell, places in enumerate(cells):
        for place in sorted(places):
            holds[place] = not holds[place]
            found.append(flip(place, cell, holds[place], is_first=False))
            last["PatId2", f"c{place}", "m"] = (holds[place], cell)
    done = 0
    while done < len(cells):
        begin = data.draw(st.integers(0, done))
        done = data.draw(st.integers(begin + 1, len(cells)))
        outbox.store_status(lake, [each for each in found if begin <= each.cell < done])
        done = max(done, begin)
    outbox.store_status(lake, found)
    assert status(lake) == last
