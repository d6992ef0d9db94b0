"""The outbox: detections in order, and the files of exactly 50 that leave it."""

import csv
import io
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import pyarrow as pa
from deltalake import DeltaTable

from expectations import delta
from expectations.catalog import Lake
from expectations.locks import detector_alone
from expectations.places import Location, make_folder, move, names, replacing
from expectations.tables import DETECTION_FILES, DETECTIONS, PATTERN_STATUS
from expectations.thresholds import DETECTIONS_PER_FILE
from spark_jobs.pattern_detector.patterns import Flip

FILE_COLUMNS = ("YStartTime(IST)", "detectionTime(IST)", "patternId", "ActionType", "customerName", "MerchantId")
FILE_TIME_ZONE = ZoneInfo("Asia/Kolkata")

_APP = "pattern_detector"
_LEDGER_APP = "detection_files"
_HIDDEN = re.compile(r"\.(detections_.*\.csv)\.tmp")
"""A file that is written, but not shown yet."""


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


def read_detections(lake: Lake, begin: int = 0) -> pa.Table:
    """Every detection so far, in order, or those from a place in the sequence on."""
    found = delta.read_rows(lake.table("detections"), DETECTIONS, order_by=["sequence"])
    return found.slice(begin)


def write_files(lake: Lake, drain: bool = False, passed: Callable[[str], None] = lambda point: None) -> list[Location]:
    """Writes every full file that is due, and with `drain` the rest as a partial one.

    A file is written under a hidden name, entered into the ledger, and then shown by a rename; what a killed writer
    left is first completed (it is in the ledger) or dropped (it is not). The ledger remembers, as its position, how
    much of the outbox it has entered.
    """
    make_folder(lake.detection_files)
    shown = _show_pending(lake)
    ledger = delta.ensure_table(lake.table("detection_files"), DETECTION_FILES)
    waiting = _waiting(lake, ledger)
    if waiting < (1 if drain else DETECTIONS_PER_FILE):
        return shown
    rows = read_detections(lake, begin=delta.position(ledger, _LEDGER_APP))
    while len(rows) >= DETECTIONS_PER_FILE or (drain and len(rows)):
        shown.append(_write_file(lake, ledger, rows.slice(0, DETECTIONS_PER_FILE), passed))
        rows = rows.slice(DETECTIONS_PER_FILE)
    return shown


def _waiting(lake: Lake, ledger: DeltaTable | None) -> int:
    """How many detections are in no file yet."""
    table = delta.open_table(lake.table("detections"))
    return table.count() - delta.position(ledger, _LEDGER_APP) if table is not None else 0


def write_files_alone(lake: Lake, drain: bool) -> list[Location]:
    """`write_files` for a process that does not hold the lock."""
    with detector_alone(lake):
        return write_files(lake, drain)


def files_due(lake: Lake) -> bool:
    """Whether a full file waits to be written or shown."""
    is_full = _waiting(lake, delta.open_table(lake.table("detection_files"))) >= DETECTIONS_PER_FILE
    return is_full or bool(_hidden(lake))


def _write_file(lake: Lake, ledger: DeltaTable, rows: pa.Table, passed: Callable[[str], None]) -> Location:
    number, is_partial = ledger.count() + 1, len(rows) < DETECTIONS_PER_FILE
    epoch = int(rows["detected_at"][-1].as_py().timestamp())
    name = f"detections_{epoch}_{number:06d}{'_partial' if is_partial else ''}.csv"
    with replacing(lake.detection_files / f".{name}.tmp") as file:
        file.write(format_file(rows).encode())
    passed("file_written")
    entry = {
        "file_sequence": number,
        "name": name,
        "first_sequence": rows["sequence"][0].as_py(),
        "last_sequence": rows["sequence"][-1].as_py(),
        "is_partial": is_partial,
    }
    entered = pa.Table.from_pylist([entry], DETECTION_FILES.arrow())
    delta.append_once(ledger, entered, _LEDGER_APP, entry["last_sequence"] + 1)
    passed("file_entered")
    return _show(lake, name)


def _show_pending(lake: Lake) -> list[Location]:
    """Completes or drops what a killed writer left."""
    left = _hidden(lake)
    if not left:
        return []
    entered = set(delta.read_rows(lake.table("detection_files"), DETECTION_FILES)["name"].to_pylist())
    shown = []
    for name in left:
        if name in entered:
            shown.append(_show(lake, name))
        else:
            (lake.detection_files / f".{name}.tmp").unlink()
    return shown


def _hidden(lake: Lake) -> list[str]:
    """Names under which what is hidden will be shown."""
    return [found[1] for name in names(lake.detection_files) if (found := _HIDDEN.fullmatch(name))]


def _show(lake: Lake, name: str) -> Location:
    return move(lake.detection_files / f".{name}.tmp", lake.detection_files, name)


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
