"""Which grid cells can be evaluated."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expectations.landing import Chunk
from spark_jobs.pattern_detector.cells import complete_cells
from tests.support_naive.logs import SOURCE, offset_at


def chunks(*bounds: tuple[int, int]) -> list[Chunk]:
    return [Chunk(first, last, SOURCE) for first, last in bounds]


WHOLE = chunks((0, 9), (10, 13), (14, 19), (20, 24))
"""Two complete cells of ten entries, and half of a third."""


@pytest.mark.parametrize(
    ("landed", "is_final", "first_cell", "expected"),
    [
        ([], False, 0, []),
        (WHOLE, False, 0, [WHOLE[:1], WHOLE[1:3]]),
        (WHOLE, True, 0, [WHOLE[:1], WHOLE[1:3], WHOLE[3:]]),
        (WHOLE, True, 2, [WHOLE[3:]]),
        (WHOLE, False, 2, []),
        (WHOLE, True, 3, []),
        # Archived chunks are not missed, but those that are still wanted are.
        (WHOLE[1:], False, 1, [WHOLE[1:3]]),
        (WHOLE[1:], False, 0, []),
        ([*WHOLE[:1], *WHOLE[2:]], True, 0, [WHOLE[:1]]),
        ([WHOLE[0], WHOLE[1]], False, 0, [WHOLE[:1]]),
    ],
)
def test_cells_of_ten_entries(landed, is_final, first_cell, expected):
    assert complete_cells(landed, offset_at(25, 10, is_final), first_cell) == expected


def test_without_an_offset_there_is_no_grid():
    assert complete_cells(WHOLE, None, 0) == []


def test_a_chunk_that_is_ahead_of_the_offset_counts():
    """The chunk file is committed before the offset is, and is never written again."""
    assert complete_cells(WHOLE, offset_at(10, 10), 0) == [WHOLE[:1], WHOLE[1:3]]


def test_a_log_that_ends_on_a_grid_line_has_no_further_cell():
    assert complete_cells(WHOLE[:3], offset_at(20, 10, is_final=True), 0) == [WHOLE[:1], WHOLE[1:3]]


@given(
    chunk_size=st.integers(1, 12),
    entries=st.integers(1, 80),
    cuts=st.sets(st.integers(1, 79)),
    is_final=st.booleans(),
    data=st.data(),
)
def test_every_entry_before_the_last_grid_line_is_in_one_cell(chunk_size, entries, cuts, is_final, data):
    """However the log was cut; asked all at once, or from any cell on."""
    firsts = sorted(set(range(0, entries, chunk_size)) | {cut for cut in cuts if cut < entries})
    landed = chunks(*((first, end - 1) for first, end in zip(firsts, [*firsts[1:], entries], strict=True)))
    offset = offset_at(entries, chunk_size, is_final)
    found = complete_cells(landed, offset, 0)
    assert len(found) == offset.complete_cells
    for number, cell in enumerate(found):
        assert {chunk.cell(chunk_size) for chunk in cell} == {number}
        assert [entry for chunk in cell for entry in range(chunk.first, chunk.last + 1)] == [
            *range(number * chunk_size, min((number + 1) * chunk_size, entries))
        ]
    later = data.draw(st.integers(0, len(found)))
    assert complete_cells(landed, offset, later) == found[later:]
    if landed:
        lost = data.draw(st.integers(0, len(landed) - 1))
        before = [cell for cell in found if cell[-1].last < landed[lost].first]
        assert complete_cells([*landed[:lost], *landed[lost + 1 :]], offset, 0) == before
