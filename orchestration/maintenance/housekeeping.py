"""Compaction, vacuum and archiving, as plain steps. Each may be killed and run again."""

from dataclasses import dataclass

from expectations import delta
from expectations.catalog import Lake
from expectations.landing import list_chunks
from expectations.offset import read_offset
from expectations.places import make_folder, move
from expectations.tables import TABLES
from spark_jobs.pattern_detector.state import committed_cells

RETENTION_HOURS = 24
"""How long files that no version needs any more are kept for readers that still hold an old version."""


@dataclass(frozen=True)
class Compaction:
    """What was done to one table."""

    table: str
    files_before: int
    files_after: int
    vacuumed: int


def compact_tables(lake: Lake, retention_hours: int = RETENTION_HOURS) -> list[Compaction]:
    """Merges the small files of every table, removes what no version needs, and writes a checkpoint of the log.

    Writers go on meanwhile: Delta merges their commits with this one.
    """
    return [_compact(lake, name, retention_hours) for name in TABLES if delta.open_table(lake.table(name)) is not None]


def _compact(lake: Lake, name: str, retention_hours: int) -> Compaction:
    table = delta.open_table(lake.table(name))
    before = len(table.file_uris())
    table.optimize.compact()
    # `full`: also what a killed writer left uncommitted, which no version ever named.
    vacuumed = table.vacuum(retention_hours, dry_run=False, enforce_retention_duration=False, full=True)
    table.create_checkpoint()
    table.cleanup_metadata()
    return Compaction(name, before, len(table.file_uris()), len(vacuumed))


def archive_chunks(lake: Lake) -> list[str]:
    """Moves chunk files that bronze and the detector have worked off; returns their names.

    A chunk is always in one of the two folders; on S3, for a moment, in both.
    """
    offset = read_offset(lake.offset_file)
    if offset is None:
        return []
    cells = committed_cells(lake.table("pattern_state"))
    done = [
        chunk
        for chunk in list_chunks(lake.landing)
        if chunk.last < offset.entries and chunk.cell(offset.chunk_size) < cells
    ]
    if done:
        make_folder(lake.archive)
        for chunk in done:
            move(lake.landing / chunk.name, lake.archive)
    return [chunk.name for chunk in done]
