"""The outbox: detections in order, and the files of exactly 50 that leave it."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
from filelock import FileLock

from expectations import delta
from expectations.catalog import Lake
from expectations.files import sync_folder
from expectations.tables import DETECTION_FILES, DETECTIONS, PATTERN_STATUS
from expectations.thresholds import DETECTIONS_PER_FILE
from spark_jobs.pattern_detector.patterns import Flip

FILE_COLUMNS = ("YStartTime(IST)", "detectionTime(IST)", "patternId", "ActionType", "customerName", "MerchantId")
FILE_TIME_ZONE = ZoneInfo("Asia/Kolkata")

_APP = "pattern_detector"
_LEDGER_APP = "detection_files"


@contextmanager
def alone(lake: Lake) -> Iterator[None]:
    """Keeps other processes from the state and the outbox, for the length of one increment."""
    lake.locks.mkdir(parents=True, exist_ok=True)
    with FileLock(lake.locks / "detector.lock"):
        yield


def store_detections(lake: Lake, flips: Sequence[Flip], upto: int, y_started_at: datetime, now: datetime) -> int:
    """Appends what was raised in cells before `upto` and is not in the outbox yet; returns how many.

    The outbox remembers up to which cell it holds everything, so a cell that is evaluated again adds nothing.
    """
    table = delta.ensure_table(lake.table("detections"), DETECTIONS)
    held = delta.position(table, _APP)
    raised = [flip for flip in flips if flip.is_first and flip.cell >= held]
    if not raised:
        return 0
    base = table.count()
    rows = [
        {
            "sequence": base + place,
            "cell": flip.cell,
            "pattern_id": flip.pattern.pattern_id,
            "action_type": flip.pattern.action_type,
            "customer_id": flip.customer,
            "merchant_id": flip.merchant,
            "y_started_at": y_started_at,
            "detected_at": now,
        }
        for place, flip in enumerate(raised)
    ]
    delta.append_once(table, pa.Table.from_pylist(rows, DETECTIONS.arrow()), _APP, upto)
    return len(raised)


def store_status(lake: Lake, flips: Sequence[Flip]) -> None:
    """Brings the status table to the last flip of each pattern, customer and merchant. Idempotent by key and cell."""
    if not flips:
        return
    latest = {(flip.pattern.pattern_id, flip.customer, flip.merchant): flip for flip in flips}
    rows = [
        {"pattern_id": pattern, "customer_id": customer, "merchant_id": merchant, "holds": f.holds, "cell": f.cell}
        for (pattern, customer, merchant), f in sorted(latest.items())
    ]
    merge = delta.ensure_table(lake.table("pattern_status"), PATTERN_STATUS).merge(
        pa.Table.from_pylist(rows, PATTERN_STATUS.arrow()),
        predicate=" AND ".join(f"old.{column} = new.{column}" for column in PATTERN_STATUS.key),
        source_alias="new",
        target_alias="old",
    )
    merge.when_matched_update_all(predicate="new.cell > old.cell").when_not_matched_insert_all().execute()


def read_detections(lake: Lake) -> pa.Table:
    """Every detection so far, in order."""
    return delta.read_rows(lake.table("detections"), DETECTIONS, order_by=["sequence"])


def write_files(lake: Lake, drain: bool = False, passed: Callable[[str], None] = lambda point: None) -> list[Path]:
    """Writes every full file that is due, and with `drain` the rest as a partial one.

    A file is written under a hidden name, entered into the ledger, and then shown by a rename; what a killed writer
    left is first completed (it is in the ledger) or dropped (it is not).
    """
    folder = lake.detection_files
    folder.mkdir(parents=True, exist_ok=True)
    ledger = delta.read_rows(lake.table("detection_files"), DETECTION_FILES, order_by=["file_sequence"])
    shown = _show_pending(folder, set(ledger["name"].to_pylist()))
    begin = (pc.max(ledger["last_sequence"]).as_py() + 1) if len(ledger) else 0
    table = delta.open_table(lake.table("detections"))
    if table is None or table.count() - begin < (1 if drain else DETECTIONS_PER_FILE):
        return shown
    waiting = read_detections(lake).slice(begin)
    number = len(ledger)
    while len(waiting) >= DETECTIONS_PER_FILE or (drain and len(waiting)):
        rows, waiting = waiting.slice(0, DETECTIONS_PER_FILE), waiting.slice(DETECTIONS_PER_FILE)
        number += 1
        shown.append(_write_file(lake, rows, number, passed))
    return shown


def write_files_alone(lake: Lake, drain: bool) -> list[Path]:
    """`write_files` for a process that does not hold the lock."""
    with alone(lake):
        return write_files(lake, drain)


def files_due(lake: Lake) -> bool:
    """Whether a full file waits to be written or shown."""
    ledger = delta.read_rows(lake.table("detection_files"), DETECTION_FILES)
    begin = (pc.max(ledger["last_sequence"]).as_py() + 1) if len(ledger) else 0
    table = delta.open_table(lake.table("detections"))
    is_full = table is not None and table.count() - begin >= DETECTIONS_PER_FILE
    return is_full or any(lake.detection_files.glob(".detections_*.csv.tmp"))


def _write_file(lake: Lake, rows: pa.Table, number: int, passed: Callable[[str], None]) -> Path:
    is_partial = len(rows) < DETECTIONS_PER_FILE
    epoch = int(rows["detected_at"][-1].as_py().timestamp())
    name = f"detections_{epoch}_{number:06d}{'_partial' if is_partial else ''}.csv"
    hidden = lake.detection_files / f".{name}.tmp"
    hidden.write_text(format_file(rows), newline="")
    passed("file_written")
    entry = {
        "file_sequence": number,
        "name": name,
        "first_sequence": rows["sequence"][0].as_py(),
        "last_sequence": rows["sequence"][-1].as_py(),
        "is_partial": is_partial,
    }
    ledger = delta.ensure_table(lake.table("detection_files"), DETECTION_FILES)
    delta.append_once(ledger, pa.Table.from_pylist([entry], DETECTION_FILES.arrow()), _LEDGER_APP, number)
    passed("file_entered")
    return _show(hidden)


def _show_pending(folder: Path, entered: set[str]) -> list[Path]:
    shown = []
    for hidden in sorted(folder.glob(".detections_*.csv.tmp")):
        if _shown_name(hidden) in entered:
            shown.append(_show(hidden))
        else:
            hidden.unlink()
    return shown


def _shown_name(hidden: Path) -> str:
    return hidden.name.removeprefix(".").removesuffix(".tmp")


def _show(hidden: Path) -> Path:
    path = hidden.rename(hidden.with_name(_shown_name(hidden)))
    sync_folder(path.parent)
    return path


def format_file(rows: pa.Table) -> str:
    """The rows as the file's CSV, with times in India's zone to the millisecond."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(FILE_COLUMNS)
    for row in rows.to_pylist():
        times = [_file_time(row[column]) for column in ("y_started_at", "detected_at")]
        writer.writerow([*times, row["pattern_id"], row["action_type"], row["customer_id"], row["merchant_id"]])
    return text.getvalue()


def _file_time(instant: datetime) -> str:
    return instant.astimezone(FILE_TIME_ZONE).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
