"""What runs in Spark's Python workers: one bucket's rows of a few cells in, one report out."""

import json
import zlib
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from expectations.currencies import FIXED_POINT_DECIMALS, minor_unit_exponents
from expectations.landing import read_chunk
from expectations.places import location
from expectations.tables import PATTERN_STATE
from expectations.thresholds import PatternThresholds
from spark_jobs.pattern_detector.patterns import GENDER_CODES, OTHER, UNKNOWN, Bucket, CellRows, Flip, Pattern
from spark_jobs.pattern_detector.state import BucketSnapshot, WrittenState, resident_bucket, state_rows, write_state

_COLUMNS = ("merchant_id", "customer_id", "gender", "amount_minor", "currency", "weight")
"""What of a payment the patterns need."""

PIECES = pa.schema([("bucket", pa.int32()), ("cell", pa.int64()), ("first", pa.int64()), ("rows", pa.binary())])
"""A chunk's rows of one bucket, packed as an Arrow stream: what is shuffled is a few blobs, not millions of rows."""

PIECES_DDL = "bucket int, cell long, first long, rows binary"

REPORT = pa.schema([("bucket", pa.int32()), ("rows", pa.int64()), ("written", pa.string()), ("flips", pa.string())])
"""What a worker hands back: a few lines per bucket, whatever the size of the input."""

REPORT_DDL = "bucket int, rows long, written string, flips string"

WITH_STATE = pa.schema([field for field in REPORT if field.name != "written"] + [pa.field("state", pa.binary())])
"""What it hands to Spark where Spark writes the state: the same, and the new rows, packed as an Arrow stream."""

WITH_STATE_DDL = "bucket int, rows long, flips string, state binary"


def chunk_reader(buckets: int) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """The function that reads chunk files, given as columns `path, cell, first`, into `PIECES`."""

    def read(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for chunk in batch.to_pylist():
                pieces = _split(read_chunk(location(chunk["path"]), _COLUMNS), chunk["first"], buckets)
                if pieces:
                    columns = [
                        pa.array([*pieces], pa.int32()),
                        pa.array([chunk["cell"]] * len(pieces), pa.int64()),
                        pa.array([chunk["first"]] * len(pieces), pa.int64()),
                        pa.array([*pieces.values()], pa.binary()),
                    ]
                    yield pa.RecordBatch.from_arrays(columns, schema=PIECES)

    return read


def _split(rows: pa.Table, first: int, buckets: int) -> dict[int, bytes]:
    """The rows of each bucket that has any, with their place in the log, as an Arrow stream."""
    of_row = _buckets(rows["merchant_id"], buckets)
    places = pa.array(first + np.arange(len(rows), dtype=np.int64))
    rows = rows.append_column("place", places)
    found = {}
    for bucket in np.unique(of_row).tolist():
        found[bucket] = _packed(rows.filter(pa.array(of_row == bucket)))
    return found


def _packed(rows: pa.Table) -> bytes:
    """Rows as an Arrow stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as stream:
        stream.write_table(rows)
    return sink.getvalue().to_pybytes()


def _buckets(merchants: pa.ChunkedArray, buckets: int) -> np.ndarray:
    """int32, the bucket of each merchant: a hash that is the same on every machine and in every run."""
    found = merchants.combine_chunks().dictionary_encode()
    of_merchant = [zlib.crc32(merchant.encode()) % buckets for merchant in found.dictionary.to_pylist()]
    return np.array(of_merchant, np.int32)[found.indices.to_numpy()]


BucketFunction = Callable[[tuple[pa.Scalar, ...], pa.Table], pa.Table]


def bucket_evaluator(
    snapshots: Mapping[int, BucketSnapshot], cells: int, thresholds: PatternThresholds
) -> BucketFunction:
    """The function that Spark applies to each bucket's rows.

    It takes `PIECES`, folds their rows in cell by cell, writes the new state (uncommitted), and returns one row of
    `REPORT`.

    Args:
        snapshots: the committed state, by bucket.
        cells: the exclusive end of the cells in the rows.
        thresholds: when patterns hold.
    """

    def evaluate(key: tuple[pa.Scalar, ...], pieces: pa.Table) -> pa.Table:
        snapshot = snapshots[key[0].as_py()]
        bucket, report = _fold(snapshot, pieces, cells, thresholds)
        report["written"] = [write_state(snapshot, bucket, cells).to_json()]
        return pa.table(report, schema=REPORT)

    return evaluate


def handing_evaluator(
    snapshots: Mapping[int, BucketSnapshot], cells: int, thresholds: PatternThresholds, is_whole: bool
) -> BucketFunction:
    """As `bucket_evaluator`, but it writes nothing, and returns one row of `WITH_STATE`.

    Args:
        is_whole: the new state is to hold every pair of the bucket, not only those that were touched.
    """

    def evaluate(key: tuple[pa.Scalar, ...], pieces: pa.Table) -> pa.Table:
        snapshot = snapshots[key[0].as_py()]
        bucket, report = _fold(snapshot, pieces, cells, thresholds)
        report["state"] = [_packed(state_rows(bucket, 0 if is_whole else snapshot.cells))]
        return pa.table(report, schema=WITH_STATE)

    return evaluate


def _fold(
    snapshot: BucketSnapshot, pieces: pa.Table, cells: int, thresholds: PatternThresholds
) -> tuple[Bucket, dict[str, list[object]]]:
    """The bucket with the rows folded in, and what there is to report of them."""
    resident = resident_bucket(snapshot.table, snapshot.table_id, snapshot.bucket)
    bucket = resident.catch_up(snapshot)
    flips: list[Flip] = []
    rows = 0
    for cell_rows in _by_cell(pieces):
        flips += bucket.fold(cell_rows, thresholds)
        rows += len(cell_rows.rows)
    resident.cells = cells
    flipped = json.dumps([_pack(flip) for flip in flips])
    return bucket, {"bucket": [snapshot.bucket], "rows": [rows], "flips": [flipped]}


def unpack_states(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Rows of the state table, of columns `bucket, state`."""
    schema = PATTERN_STATE.arrow().remove_metadata()
    for batch in batches:
        for bucket, packed in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            rows = pa.ipc.open_stream(packed).read_all()
            rows = rows.append_column("bucket", pa.repeat(pa.scalar(bucket, pa.int32()), len(rows)))
            yield from rows.select(schema.names).cast(schema).to_batches()


def unpack_written(report: pa.Table) -> list[WrittenState]:
    """The state files to commit."""
    return [WrittenState.from_json(text) for text in report["written"].to_pylist()]


def unpack_flips(report: pa.Table) -> list[Flip]:
    """What changed: in the order of cell, first row of the pair in it, pattern."""
    flips = [Flip(*values) for text in report["flips"].to_pylist() for values in json.loads(text)]
    flips = [Flip(f.cell, f.first_row, Pattern(f.pattern), f.customer, f.merchant, f.holds, f.is_first) for f in flips]
    return sorted(flips, key=lambda f: (f.cell, f.first_row, f.pattern))


def _pack(flip: Flip) -> list[object]:
    return [flip.cell, flip.first_row, int(flip.pattern), flip.customer, flip.merchant, flip.holds, bool(flip.is_first)]


def _by_cell(pieces: pa.Table) -> Iterator[CellRows]:
    """The rows of each cell, in the log's order; a cell may have come in several chunks."""
    pieces = pieces.sort_by("first")
    blobs: dict[int, list[pa.Table]] = {}
    for cell, blob in zip(pieces["cell"].to_pylist(), pieces["rows"], strict=True):
        blobs.setdefault(cell, []).append(pa.ipc.open_stream(blob.as_buffer()).read_all())
    for cell, tables in sorted(blobs.items()):
        rows = pa.concat_tables(tables)
        yield CellRows(
            cell=cell,
            merchants=rows["merchant_id"].to_pylist(),
            customers=rows["customer_id"].to_pylist(),
            genders=_genders(rows),
            amounts=_amounts(rows),
            weights=rows["weight"].to_numpy(),
            rows=rows["place"].to_numpy(),
        )


def _genders(rows: pa.Table) -> np.ndarray:
    codes = pc.index_in(rows["gender"], value_set=pa.array(["F", "M"]))
    is_missing = rows["gender"].combine_chunks().is_null().to_numpy(zero_copy_only=False)
    known = pc.fill_null(codes, -1).to_numpy()
    found = np.choose(known + 1, [OTHER, GENDER_CODES["F"], GENDER_CODES["M"]])
    return np.where(is_missing, UNKNOWN, found).astype(np.int8)


def _amounts(rows: pa.Table) -> np.ndarray:
    """int64, in 1/10,000 of the currency, so that one threshold serves all currencies."""
    exponents = minor_unit_exponents()
    codes = rows["currency"].combine_chunks().dictionary_encode()
    factors = np.array(
        [10 ** (FIXED_POINT_DECIMALS - exponents[code]) for code in codes.dictionary.to_pylist()], np.int64
    )
    return rows["amount_minor"].to_numpy() * factors[codes.indices.to_numpy()]
