"""The detector's state in Delta: a log of pair totals by bucket, which workers read and write, and the driver commits.

Every cell appends the pairs that it touched; now and then a bucket is written whole instead, and replaces its older
files in the same commit. A worker keeps the buckets that it has seen, and reads only what was committed since.
"""

import json
import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.transaction import AddAction

from expectations import delta
from expectations.errors import LakeMismatch
from expectations.places import Location, absolute, location, open_whole, replacing
from expectations.tables import PATTERN_STATE
from spark_jobs.pattern_detector.patterns import FEMALE, MALE, OTHER, UNKNOWN, Bucket

APP = "pattern_detector"
FILES_PER_BUCKET = 32
"""A bucket with so many files is written whole with the next cell. Buckets differ, so that they take turns."""

_BUCKETS_KEY = "buckets"
_GENDERS = {UNKNOWN: None, FEMALE: "F", MALE: "M", OTHER: "other"}
_CODES = {text: code for code, text in _GENDERS.items()}


@dataclass(frozen=True)
class StateFile:
    """A committed file of one bucket, and the highest cell in it."""

    path: str
    max_cell: int


@dataclass(frozen=True)
class BucketSnapshot:
    """One bucket at a committed version: all that a worker needs to have it in memory.

    Attributes:
        table: location of the state table.
        table_id: its identity, which changes if it is made anew.
        cells: how many cells are folded in.
    """

    table: str
    table_id: str
    bucket: int
    cells: int
    files: tuple[StateFile, ...]

    @property
    def wants_compaction(self) -> bool:
        return len(self.files) >= FILES_PER_BUCKET + 5 * (self.bucket % 8)


@dataclass(frozen=True)
class WrittenState:
    """What a worker wrote: a file that is not committed yet, and the files that it replaces."""

    bucket: int
    path: str
    size: int
    rows: int
    min_cell: int
    max_cell: int
    replaces: tuple[str, ...] = ()

    def add_action(self) -> AddAction:
        cells = {"minValues": {"cell": self.min_cell}, "maxValues": {"cell": self.max_cell}}
        return AddAction(
            path=self.path,
            size=self.size,
            partition_values={"bucket": str(self.bucket)},
            modification_time=time.time_ns() // 1_000_000,
            data_change=True,
            stats=json.dumps({"numRecords": self.rows, **cells, "nullCount": {"cell": 0}}),
        )

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> "WrittenState":
        values = json.loads(text)
        return WrittenState(**values | {"replaces": tuple(values["replaces"])})


def open_state(path: Location, buckets: int) -> DeltaTable:
    """The state table, made for so many buckets where there is none.

    Raises:
        LakeMismatch: it was made for another number of buckets.
    """
    table = delta.ensure_table(path, PATTERN_STATE, {"bucket": {_BUCKETS_KEY: str(buckets)}})
    column = next(column for column in table.schema().fields if column.name == "bucket")
    found = int(column.metadata[_BUCKETS_KEY])
    if found != buckets:
        raise LakeMismatch(
            f"the pattern state has {found} buckets, not {buckets}",
            where=path,
            remedy=f"set TOLLGATE_DETECTOR_BUCKETS={found}",
        )
    return table


def committed_cells(path: Location) -> int:
    """How many cells, from 0, the detector has worked off."""
    return delta.position(delta.open_table(path), APP)


def snapshots(table: DeltaTable, path: Location, buckets: int) -> list[BucketSnapshot]:
    """Every bucket at the table's version."""
    files: dict[int, list[StateFile]] = {bucket: [] for bucket in range(buckets)}
    actions = pa.table(table.get_add_actions(flatten=True))
    for row in actions.select(["path", "partition.bucket", "max.cell"]).to_pylist() if len(actions) else ():
        files[int(row["partition.bucket"])].append(StateFile(row["path"], row["max.cell"]))
    table_id, cells = str(table.metadata().id), delta.position(table, APP)
    return [BucketSnapshot(absolute(path), table_id, b, cells, tuple(sorted(files[b], key=str))) for b in files]


def current_state(path: Location) -> pa.Table:
    """The state itself: one row per (merchant, customer), whichever files hold it, sorted."""
    if delta.open_table(path) is None:
        return PATTERN_STATE.arrow().empty_table()
    with delta.connect({"state": path}) as connection:
        found = connection.execute(
            "SELECT * FROM state "
            "QUALIFY row_number() OVER (PARTITION BY merchant_id, customer_id ORDER BY cell DESC) = 1 "
            "ORDER BY merchant_id, customer_id"
        ).to_arrow_table()
    return found.select(PATTERN_STATE.columns).cast(PATTERN_STATE.arrow())


@dataclass
class ResidentBucket:
    """A bucket in a worker's memory, with `cells` folded in; None while it is being changed."""

    bucket: Bucket = field(default_factory=Bucket)
    cells: int | None = 0

    def catch_up(self, snapshot: BucketSnapshot) -> Bucket:
        """Brings the bucket to the snapshot, reading only what is newer; from scratch where it has gone astray."""
        if self.cells is None or self.cells > snapshot.cells:
            self.bucket, self.cells = Bucket(), 0
        known, self.cells = self.cells, None
        newer = [file for file in snapshot.files if file.max_cell >= known]
        if known < snapshot.cells and newer:
            _restore(self.bucket, _read(snapshot, newer, known))
        return self.bucket


@lru_cache(maxsize=256)
def resident_bucket(table: str, table_id: str, bucket: int) -> ResidentBucket:
    """The bucket that this Python worker keeps between micro-batches; the arguments are its identity."""
    return ResidentBucket()


def _read(snapshot: BucketSnapshot, files: Sequence[StateFile], from_cell: int) -> pa.Table:
    columns = [name for name in PATTERN_STATE.columns if name != "bucket"]
    parts = [
        _read_file(location(snapshot.table) / file.path, columns).filter(pc.field("cell") >= from_cell)
        for file in files
    ]
    return pa.concat_tables(parts).sort_by("cell")


def _read_file(path: Location, columns: Sequence[str]) -> pa.Table:
    with open_whole(path) as file:
        return pq.ParquetFile(file).read(columns=columns)


def _restore(bucket: Bucket, rows: pa.Table) -> None:
    merchants, customers = rows["merchant_id"].to_pylist(), rows["customer_id"].to_pylist()
    latest = {pair: row for row, pair in enumerate(zip(merchants, customers, strict=True))}
    at = np.fromiter(latest.values(), np.int64, len(latest))
    genders = rows["gender"].to_pylist()
    bucket.restore(
        [pair[0] for pair in latest],
        [pair[1] for pair in latest],
        cells=rows["cell"].to_numpy()[at],
        transactions=rows["transactions"].to_numpy()[at],
        amount_sums=rows["amount_sum"].to_numpy()[at],
        weight_sums=rows["weight_sum"].to_numpy()[at],
        genders=np.array([_CODES[genders[row]] for row in at.tolist()], np.int8),
        raised=rows["raised"].to_numpy()[at].astype(np.int8),
        holding=rows["holding"].to_numpy()[at].astype(np.int8),
    )


def state_rows(bucket: Bucket, since: int) -> pa.Table:
    """The pairs that were touched in a cell from `since` on, as rows of the state table without the bucket."""
    at = bucket.touched_since(since)
    pairs = [bucket.pairs[index] for index in at.tolist()]
    schema = PATTERN_STATE.arrow()
    return pa.Table.from_arrays(
        [
            pa.array([pair[0] for pair in pairs], pa.string()),
            pa.array([pair[1] for pair in pairs], pa.string()),
            pa.array(bucket.cell[at]),
            pa.array(bucket.transactions[at]),
            pa.array(bucket.amount_sum[at]),
            pa.array(bucket.weight_sum[at]),
            pa.array([_GENDERS[code] for code in bucket.gender[at].tolist()], pa.string()),
            pa.array(bucket.raised[at].astype(np.int16)),
            pa.array(bucket.holding[at].astype(np.int16)),
        ],
        schema=pa.schema([field for field in schema if field.name != "bucket"]),
    )


def write_state(snapshot: BucketSnapshot, bucket: Bucket, cells: int) -> WrittenState:
    """Writes the pairs touched since the snapshot, or all of them where the bucket is due for compaction.

    The file counts only once the driver has committed it; one that never is, is removed by vacuum.
    """
    rows = state_rows(bucket, 0 if snapshot.wants_compaction else snapshot.cells)
    touched = pc.min_max(rows["cell"])
    name = f"bucket={snapshot.bucket}/cells-{snapshot.cells:09d}-{cells:09d}-{uuid.uuid4().hex}.parquet"
    target = location(snapshot.table) / name
    with replacing(target) as file:
        pq.write_table(rows, file, compression="zstd")
        size = file.tell()
    return WrittenState(
        bucket=snapshot.bucket,
        path=name,
        size=size,
        rows=len(rows),
        min_cell=touched["min"].as_py(),
        max_cell=touched["max"].as_py(),
        replaces=tuple(file.path for file in snapshot.files) if snapshot.wants_compaction else (),
    )
