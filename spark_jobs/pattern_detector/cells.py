"""Which grid cells can be evaluated, judged by the chunk files that have landed."""

from collections.abc import Sequence

from expectations.catalog import Lake
from expectations.landing import Chunk, list_chunks
from expectations.offset import Offset, read_offset


def complete_cells(chunks: Sequence[Chunk], offset: Offset | None, first_cell: int) -> list[list[Chunk]]:
    """The chunks of each complete cell from `first_cell` on, without gaps.

    A cell is complete when its chunks reach its grid line, or the end of a log that was declared final.
    """
    if offset is None:
        return []
    size, found = offset.chunk_size, []
    position, cell = first_cell * size, []
    for chunk in chunks:
        if chunk.first < position:
            continue
        if chunk.first > position:
            break
        cell.append(chunk)
        position = chunk.last + 1
        if position % size == 0 or (offset.is_final and position == offset.entries):
            found.append(cell)
            cell = []
    return found


def waiting_cells(lake: Lake, first_cell: int) -> list[list[Chunk]]:
    """The complete cells from `first_cell` on, of what has landed by now."""
    offset = read_offset(lake.offset_file)
    if offset is None:
        return []
    landed = list_chunks(lake.landing, offset.source, first_cell * offset.chunk_size)
    return complete_cells(landed, offset, first_cell)
