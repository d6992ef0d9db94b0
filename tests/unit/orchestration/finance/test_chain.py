"""The chain of manifests: whoever comes second is told so, and a killed publisher leaves nothing that is not mended."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expectations.card_numbers import fingerprint
from expectations.catalog import Lake
from expectations.files import create_exclusively
from orchestration.finance.chain import (
    ChainBroken,
    ChainMoved,
    Code,
    Draft,
    Link,
    append,
    canonical_json,
    chain_folder,
    current_days,
    manifest_path,
    mend_head,
    read_chain,
    read_head,
    stale_days,
)

OPENING = date(2026, 10, 11)
WRITERS = 8


class Killed(Exception):
    """Stands for a process that dies at a commit point."""


def draft(at: int, opening: str, version: int = 1, by: str = "test") -> Draft:
    """A manifest of the day that is so many days after the opening."""
    return Draft(
        kind="day" if at else "opening",
        business_date=OPENING + timedelta(days=at),
        version=version,
        published_at=datetime(2026, 11, 1, tzinfo=UTC),
        published_by=by,
        reason=None,
        opening=opening,
        inputs={},
        actions=[],
        configuration={},
        code=Code(version="0", hash=""),
        checks=[],
        approvals=[],
        totals={},
        outputs={},
    )


def chain(lake: Lake, days: int) -> list[Link]:
    """An opening and so many days, each from the one before."""
    head = ""
    for at in range(days + 1):
        head = append(lake, draft(at, head), head).hash
    return read_chain(lake)


def killed_after_link(lake: Lake, given: Draft, head: str) -> None:
    def passed(point: str) -> None:
        if point == "manifest":
            raise Killed

    with pytest.raises(Killed):
        append(lake, given, head, passed)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def test_a_chain_is_read_as_it_was_written(lake: Lake):
    links = chain(lake, 2)
    assert [link.path.name for link in links] == ["000001.json", "000002.json", "000003.json"]
    assert [link.manifest.previous for link in links] == ["", links[0].hash, links[1].hash]
    assert all(fingerprint(link.path.read_bytes()) == link.hash for link in links)
    assert b'"published_at":"2026-11-01T00:00:00.000000+00:00"' in links[0].path.read_bytes()
    assert read_head(lake).model_dump() == {"sequence": 3, "hash": links[2].hash}


def test_nothing_is_a_chain_too(lake: Lake):
    assert read_chain(lake) == [] and read_head(lake) is None
    mend_head(lake, [])
    assert read_head(lake) is None


def test_of_many_threads_with_the_same_head_one_wins(lake: Lake):
    head = chain(lake, 0)[0].hash
    barrier = threading.Barrier(WRITERS)

    def publish(number: int) -> Link | None:
        barrier.wait()
        try:
            # Of different lengths: two that wrote into one file would leave a torn manifest.
            return append(lake, draft(1, head, by="x" * (1 + 500 * number)), head)
        except ChainMoved:
            return None

    with ThreadPoolExecutor(WRITERS) as pool:
        won = [link for link in pool.map(publish, range(WRITERS)) if link]
    links = read_chain(lake)
    assert len(won) == 1 and links[1] == won[0] and len(links) == 2
    assert read_head(lake).hash == won[0].hash
    assert not [*chain_folder(lake).glob(".*.tmp")]


def test_whoever_saw_another_head_is_told_what_to_do(lake: Lake):
    links = chain(lake, 1)
    for expected in ("", links[0].hash, "A" * 52):
        with pytest.raises(ChainMoved, match="run the day again"):
            append(lake, draft(2, links[1].hash), expected)
    assert read_chain(lake) == links


def test_a_killed_publisher_leaves_a_head_that_the_next_one_mends(lake: Lake):
    links = chain(lake, 1)
    killed_after_link(lake, draft(2, links[1].hash), links[1].hash)
    assert len(read_chain(lake)) == 3 and read_head(lake).sequence == 2
    mend_head(lake, read_chain(lake))
    assert read_head(lake).hash == read_chain(lake)[2].hash


def test_the_head_is_never_more_than_one_behind(lake: Lake):
    chain(lake, 0)
    for at in (1, 2, 3):
        head = read_chain(lake)[-1].hash
        killed_after_link(lake, draft(at, head), head)
        assert read_head(lake).sequence == at
    mend_head(lake, read_chain(lake))
    assert read_head(lake).sequence == 4


def test_the_first_publisher_may_be_killed_too(lake: Lake):
    killed_after_link(lake, draft(0, ""), "")
    first = read_chain(lake)[0]
    assert read_head(lake) is None
    assert append(lake, draft(1, first.hash), first.hash).manifest.sequence == 2
    assert read_head(lake).sequence == 2


def test_a_slow_publisher_does_not_set_the_head_back(lake: Lake):
    head = chain(lake, 0)[0].hash

    def overtaken(point: str) -> None:
        if point == "manifest":
            mine = read_chain(lake)[-1].hash
            append(lake, draft(2, mine), mine)

    append(lake, draft(1, head), head, overtaken)
    assert read_head(lake).hash == read_chain(lake)[2].hash


@pytest.mark.parametrize("what", ["cut off", "changed"])
def test_nothing_is_put_behind_a_chain_whose_end_is_gone(lake: Lake, what: str):
    """Otherwise the next head would hide what the old one shows."""
    links = chain(lake, 2)
    if what == "cut off":
        links[2].path.unlink()
    else:
        links[2].path.write_bytes(canonical_json(json.loads(links[2].path.read_bytes()) | {"reason": "x"}))
    head = read_chain(lake)[-1].hash
    with pytest.raises(ChainBroken, match=r"head\.json names a manifest 3 that is not there"):
        append(lake, draft(3, head), head)
    mend_head(lake, read_chain(lake))
    assert read_head(lake).hash == links[2].hash


def test_a_gap_is_not_read_over(lake: Lake):
    chain(lake, 2)
    manifest_path(lake, 2).unlink()
    with pytest.raises(ChainBroken, match="manifest 2 is missing"):
        read_chain(lake)


def test_a_head_that_is_none(lake: Lake):
    links = chain(lake, 1)
    (chain_folder(lake) / "head.json").write_text("{")
    with pytest.raises(ChainBroken, match="not a head"):
        append(lake, draft(2, links[1].hash), links[1].hash)
    assert read_chain(lake) == links


def test_what_is_there_is_never_replaced(tmp_path: Path):
    create_exclusively(tmp_path / "file", b"first")
    with pytest.raises(FileExistsError):
        create_exclusively(tmp_path / "file", b"second")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"first"]


def test_the_newest_version_of_a_day_is_current_and_makes_later_ones_stale(lake: Lake):
    opening, first, second, third = chain(lake, 3)
    assert current_days([opening, first, second, third]) == {
        OPENING + timedelta(days=at): link for at, link in enumerate((opening, first, second, third))
    }
    assert stale_days(read_chain(lake)) == set()
    again = append(lake, draft(1, opening.hash, version=2), third.hash)
    assert current_days(read_chain(lake))[OPENING + timedelta(days=1)] == again
    assert stale_days(read_chain(lake)) == {OPENING + timedelta(days=2), OPENING + timedelta(days=3)}
    anew = append(lake, draft(2, again.hash, version=2), again.hash)
    assert stale_days(read_chain(lake)) == {OPENING + timedelta(days=3)}
    append(lake, draft(3, anew.hash, version=2), anew.hash)
    assert stale_days(read_chain(lake)) == set()


PLAIN = st.none() | st.booleans() | st.integers() | st.text()
CONTENT = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3))


@given(st.dictionaries(st.text(), CONTENT, max_size=4), st.randoms(use_true_random=False))
def test_canonical_json_is_one_text_per_content(content: dict, random):
    written = canonical_json(content)
    names = [*content]
    random.shuffle(names)
    assert canonical_json({name: content[name] for name in names}) == written
    assert json.loads(written) == content
    assert written.endswith(b"\n") and written.count(b"\n") == 1


def _floats() -> Iterator[dict]:
    yield {"a": 0.5}
    yield {"a": [{"b": [1, float("nan")]}]}
    yield {"a": {"b": (1, 1.0)}}


@pytest.mark.parametrize("content", _floats())
def test_floats_have_no_canonical_form(content: dict):
    with pytest.raises(ValueError, match="is a float"):
        canonical_json(content)
