"""The checks of housekeeping: that it lost nothing, and that it keeps up."""

import dagster as dg

from expectations import delta
from expectations.landing import list_chunks
from expectations.offset import read_offset
from expectations.tables import TABLES
from orchestration.mart import DOMAINS, current_versions, files_folder, read_versions
from orchestration.resources import Platform
from spark_jobs.pattern_detector.state import committed_cells

MAX_FILES_PER_TABLE = 2_000


@dg.asset_check(asset="compacted_tables", blocking=False)
def few_files(platform: Platform) -> dg.AssetCheckResult:
    """No table has grown to thousands of small files."""
    lake = platform.lake()
    tables = {name: delta.open_table(lake.table(name)) for name in TABLES}
    counts = {name: len(table.file_uris()) for name, table in tables.items() if table is not None}
    most = max(counts.values(), default=0)
    return dg.AssetCheckResult(passed=most <= MAX_FILES_PER_TABLE, metadata=counts)


@dg.asset_check(asset="landing_archive", blocking=False)
def only_worked_off(platform: Platform) -> dg.AssetCheckResult:
    """The archive holds nothing that the detector has yet to see, and no chunk is in both folders."""
    lake = platform.lake()
    offset, archived = read_offset(lake.offset_file), list_chunks(lake.archive)
    cells = committed_cells(lake.table("pattern_state"))
    early = [c.name for c in archived if offset is None or c.cell(offset.chunk_size) >= cells]
    twice = {*archived} & {*list_chunks(lake.landing)}
    return dg.AssetCheckResult(
        passed=not early and not twice,
        metadata={"archived": len(archived), "too early": len(early), "in both folders": len(twice)},
    )


@dg.asset_check(asset="kept_publications", blocking=False)
def every_kept_publication_is_whole(platform: Platform) -> dg.AssetCheckResult:
    """Every file that a kept publication names is there."""
    lake = platform.lake()
    named = {
        files_folder(lake, domain) / file.name
        for domain in DOMAINS
        for version in read_versions(lake, domain)
        for files in version.files.values()
        for file in files
    }
    missing = sorted(path.name for path in named if not path.exists())
    return dg.AssetCheckResult(passed=not missing, metadata={"files": len(named), "missing": ", ".join(missing[:5])})


@dg.asset_check(asset="kept_publications", blocking=False)
def few_files_per_view(platform: Platform) -> dg.AssetCheckResult:
    """No published relation is read from thousands of small files."""
    counts = {
        relation: len(files)
        for version in current_versions(platform.lake()).values()
        for relation, files in version.files.items()
    }
    return dg.AssetCheckResult(passed=max(counts.values(), default=0) <= MAX_FILES_PER_TABLE, metadata=counts)
