"""Which grid cells can be evaluated, judged by the chunk files that have landed."""

from collections.abc import Sequence

from expectations.landing import Chunk
from expectations.offset import Offset


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
