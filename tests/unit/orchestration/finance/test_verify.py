"""Whatever is changed in what was published, verification names it."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from expectations.card_numbers import fingerprint
from expectations.catalog import Lake
from orchestration.finance.chain import (
    ChainBroken,
    Draft,
    append,
    canonical_json,
    manifest_path,
    mend_head,
    read_chain,
    read_head,
)
from orchestration.finance.files import digests_path, output_path
from orchestration.finance.signatures import Approval, approve, load_key, make_key, register, sign_link, signature_path
from orchestration.finance.snapshots import BANK, PLATFORM, folder
from orchestration.finance.verify import Verification, verify
from tests.support.finance import DAY, Books, payments, plain_day
from tests.support.warehouse import copied

NEXT = DAY + timedelta(days=1)


@pytest.fixture(scope="module")
def two_days(tmp_path_factory: pytest.TempPathFactory) -> Books:
    """Two published days. Never write to it: copy it."""
    made = Books(Lake(tmp_path_factory.mktemp("two_days") / "lake"))
    made.open()
    for day in (DAY, NEXT):
        platform, bank = plain_day(day, 4)
        # One payment at another merchant, so that the settlement has two rows.
        rows = platform.to_pylist()
        rows[0] |= {"merchant_id": "M2"}
        made.run(payments(*rows), bank, day)
    assert verify(made.lake).findings == ()
    return made


@pytest.fixture
def books(two_days: Books, tmp_path: Path) -> Books:
    """The same, to be tampered with."""
    return Books(copied(two_days.lake, tmp_path / "lake"))


def first(found: Verification) -> str:
    assert found.findings, "nothing was found"
    return str(found.findings[0])


def settlement(books: Books, sequence: int = 2) -> Path:
    return output_path(books.lake, read_chain(books.lake)[sequence - 1].manifest.outputs["audited_daily_settlement"])


def rewrite(path: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    table = change(pq.read_table(path, partitioning=None))
    pq.write_table(table, path, compression="zstd")


def one_cent_more(table: pa.Table) -> pa.Table:
    at = table.schema.get_field_index("gross_minor")
    is_last = pa.array([False] * (table.num_rows - 1) + [True])
    column = table.column("gross_minor")
    return table.set_column(at, "gross_minor", pc.if_else(is_last, pc.add(column, 1), column).cast(pa.int64()))


def test_one_cent(books: Books):
    rewrite(settlement(books), one_cent_more)
    assert first(verify(books.lake)) == (
        "2026-10-12 v1 (manifest 2): audited_daily_settlement is not what was published, first in row 2 "
        "(merchant_id M2, processor nordpay, currency EUR): changed"
    )
    assert verify(books.lake, days={NEXT}).findings == ()


def test_one_row_less_and_one_row_more(books: Books):
    kept = settlement(books).read_bytes()
    rewrite(settlement(books), lambda table: table.slice(1))
    assert "first in row 1 (merchant_id M2, processor nordpay, currency EUR): row missing" in first(verify(books.lake))
    settlement(books).write_bytes(kept)
    rewrite(settlement(books), lambda table: table.slice(0, 1))
    assert "lacks its last 1 rows, from row 2" in first(verify(books.lake))
    settlement(books).write_bytes(kept)
    extra = pq.read_table(settlement(books, 3), partitioning=None).slice(0, 1)
    rewrite(settlement(books), lambda table: pa.concat_tables([extra, table]))
    assert "added" in first(verify(books.lake)) or "changed" in first(verify(books.lake))


def test_a_table_of_another_day(books: Books):
    settlement(books).write_bytes(settlement(books, 3).read_bytes())
    assert "2026-10-12 v1 (manifest 2): audited_daily_settlement is not what was published" in first(verify(books.lake))


@pytest.mark.parametrize("what", ["delete", "damage"])
def test_a_file(books: Books, what: str):
    path = settlement(books)
    path.unlink() if what == "delete" else path.write_bytes(path.read_bytes()[:-20])
    expected = "is missing" if what == "delete" else "cannot be read"
    assert expected in first(verify(books.lake))


def test_the_digests_of_rows(books: Books):
    output = read_chain(books.lake)[1].manifest.outputs["audited_daily_settlement"]
    digests_path(books.lake, output).unlink()
    assert "digests of its rows are missing" in first(verify(books.lake))
    rewrite(settlement(books), one_cent_more)
    assert "is not what was published; the digests" in first(verify(books.lake))


@pytest.mark.parametrize("side", [BANK, PLATFORM])
def test_a_frozen_input(books: Books, side: str):
    name = "ledger_entries" if side == BANK else "platform_payments"
    path = next(folder(books.lake, side, DAY).glob(f"*/{name}.parquet"))
    rewrite(path, lambda table: table.slice(1))
    assert first(verify(books.lake)) == f"2026-10-12 v1 (manifest 2): frozen input {side}/{name} is not what was frozen"


FIELDS = {
    "business_date": "2026-10-11",
    "version": 2,
    "published_by": "somebody else",
    "reason": "because",
    "opening": "A" * 52,
    "published_at": "2026-01-01T00:00:00.000000+00:00",
    "sequence": 7,
    "previous": "B" * 52,
    "totals": {},
    "checks": [],
    "code": {"version": "0", "hash": "0"},
    "configuration": {"tolerance_minor": {"EUR": 10**9}},
}


@pytest.mark.parametrize("name", FIELDS)
def test_any_field_of_a_manifest(books: Books, name: str):
    path = manifest_path(books.lake, 2)
    content = json.loads(path.read_bytes())
    assert content[name] != FIELDS[name]
    path.write_bytes(canonical_json(content | {name: FIELDS[name]}))
    findings = [str(finding) for finding in verify(books.lake).findings]
    assert any("manifest 2" in finding or "manifest 3" in finding for finding in findings)


def test_a_manifest_and_everything_after_it_made_anew(books: Books):
    """Whoever can write all files can make a chain that holds. Who has kept the head sees that it is another one."""
    kept = verify(books.lake).head
    previous = fingerprint(manifest_path(books.lake, 1).read_bytes())
    opening = previous
    for sequence in (2, 3):
        path = manifest_path(books.lake, sequence)
        content = json.loads(path.read_bytes()) | {"published_by": "forger", "previous": previous, "opening": opening}
        path.write_bytes(canonical_json(content))
        previous = opening = fingerprint(path.read_bytes())
    (path.parent / "head.json").write_bytes(canonical_json({"sequence": 3, "hash": previous}))
    assert verify(books.lake).findings == () and not verify(books.lake).is_authenticated
    assert "is not in the chain" in first(verify(books.lake, expected_head=kept))


@pytest.mark.parametrize("sequence", [1, 2, 3])
def test_a_manifest_that_is_gone(books: Books, sequence: int):
    manifest_path(books.lake, sequence).unlink()
    assert first(verify(books.lake)).startswith(f"manifest {sequence}: is missing")


def test_two_manifests_that_changed_places(books: Books):
    second, third = manifest_path(books.lake, 2), manifest_path(books.lake, 3)
    content = second.read_bytes()
    second.write_bytes(third.read_bytes())
    third.write_bytes(content)
    findings = [str(finding) for finding in verify(books.lake).findings]
    assert "2026-10-13 v1 (manifest 3): stands in the place of manifest 2" in findings


def test_a_manifest_that_is_none(books: Books):
    manifest_path(books.lake, 2).write_text("{}")
    assert first(verify(books.lake)).startswith("manifest 2: not a manifest")
    with pytest.raises(ChainBroken, match="not a manifest"):
        read_chain(books.lake)


def test_a_head_that_is_behind_is_not_tampering_and_is_mended(books: Books):
    links = read_chain(books.lake)
    head = books.lake.finance / "chain" / "head.json"
    head.write_bytes(canonical_json({"sequence": 2, "hash": links[1].hash}))
    found = verify(books.lake)
    assert found.findings == () and "one manifest behind" in found.notes[0]
    mend_head(books.lake, links)
    assert read_head(books.lake).hash == links[-1].hash
    head.write_bytes(canonical_json({"sequence": 2, "hash": links[0].hash}))
    assert "head.json: does not name the last manifest" in first(verify(books.lake))


def test_signatures_authenticate_the_chain(books: Books):
    key_file = books.lake.root / "publisher.pem"
    register(books.registry, "publisher", make_key(key_file), books.now)
    for link in read_chain(books.lake):
        assert not verify(books.lake, registry=books.registry).is_authenticated
        sign_link(books.lake, link, load_key(key_file), books.registry)
    assert verify(books.lake, registry=books.registry).is_authenticated
    assert not verify(books.lake).is_authenticated
    path = signature_path(books.lake, read_chain(books.lake)[1])
    content = json.loads(path.read_bytes())
    path.write_bytes(canonical_json(content | {"signature": content["signature"][::-1]}))
    assert "signature is not valid" in first(verify(books.lake, registry=books.registry))


def test_a_publisher_with_a_key_signs_what_it_publishes(books: Books):
    key_file = books.lake.root / "publisher.pem"
    register(books.registry, "publisher", make_key(key_file), books.now)
    books.signing_key = key_file
    link = books.run(*plain_day(NEXT + timedelta(days=1)), day=NEXT + timedelta(days=1)).link
    assert signature_path(books.lake, link).exists()
    assert verify(books.lake, registry=books.registry).findings == ()


def garbled(books: Books, sequence: int = 2, **change: object) -> list[str]:
    """What is found after a manifest was changed by hand, in no canonical form."""
    path = manifest_path(books.lake, sequence)
    path.write_text(json.dumps(json.loads(path.read_bytes()) | change))
    return [str(finding) for finding in verify(books.lake).findings]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"configuration": {"tolerance": 0.5}}, "the manifest is not in its canonical form"),
        ({"actions": [{"at": 1e3}]}, "the manifest is not in its canonical form"),
        ({"approvals": [{"by": "alice"}]}, "approvals: not what a maker and a checker sign"),
        (
            {"outputs": {"secrets": {"rows": 0, "hash": "", "row_digests": "", "file": "x", "file_hash": ""}}},
            "secrets is no table of finance",
        ),
        (
            {"inputs": {"bank": {"snapshot": "s", "tables": {"secrets": {"rows": 0, "hash": ""}}}}},
            "frozen input bank/secrets is no table of finance",
        ),
    ],
)
def test_whatever_a_manifest_says_it_is_a_finding_and_no_crash(books: Books, change: dict, fault: str):
    assert f"2026-10-12 v1 (manifest 2): {fault}" in garbled(books, **change)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[]", b'{"sequence": "x", "hash": ""}'])
def test_a_head_that_is_none(books: Books, content: bytes):
    (books.lake.finance / "chain" / "head.json").write_bytes(content)
    assert first(verify(books.lake)) == "head.json: not a head"


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff"])
def test_a_signature_that_is_none(books: Books, content: bytes):
    signature_path(books.lake, read_chain(books.lake)[1]).write_bytes(content)
    assert first(verify(books.lake)) == "2026-10-12 v1 (manifest 2): the manifest's signature is not a signature"


def test_text_that_is_not_utf8(books: Books):
    def damaged(table: pa.Table) -> pa.Table:
        raw = pa.array([b"\xff"] * table.num_rows)
        text = pa.Array.from_buffers(pa.string(), len(raw), raw.buffers())
        return table.set_column(table.schema.get_field_index("merchant_id"), "merchant_id", text)

    rewrite(settlement(books), lambda table: damaged(table.slice(0, 1)))
    assert "audited_daily_settlement is not what was published: it holds text that" in first(verify(books.lake))


def test_the_first_finding_is_the_first_in_the_chain(books: Books):
    rewrite(settlement(books), one_cent_more)
    manifest_path(books.lake, 3).unlink()
    findings = [str(finding) for finding in verify(books.lake).findings]
    assert findings[0].startswith("2026-10-12 v1 (manifest 2): audited_daily_settlement")
    assert findings[1:] == ["manifest 3: is missing: head.json names it"]


def test_a_manifest_far_away(books: Books):
    manifest_path(books.lake, 10**12).write_bytes(manifest_path(books.lake, 3).read_bytes())
    assert first(verify(books.lake)) == "manifest 4: is missing"


def test_frozen_inputs_can_be_left_out(books: Books):
    path = next(folder(books.lake, BANK, DAY).glob("*/ledger_entries.parquet"))
    rewrite(path, lambda table: table.slice(1))
    assert verify(books.lake, inputs=False).findings == ()
    assert verify(books.lake, inputs=False).tables < verify(books.lake).tables


def test_the_first_publisher_was_killed_before_it_wrote_a_head(tmp_path: Path):
    made = Books(Lake(tmp_path / "lake"))
    made.open()
    (made.lake.finance / "chain" / "head.json").unlink()
    found = verify(made.lake)
    assert found.findings == () and "one manifest behind" in found.notes[0]


def approved_day(books: Books) -> None:
    """A third day, for which a maker and a checker have signed."""
    last = read_chain(books.lake)[-1]
    said = {name: getattr(last.manifest, name) for name in Draft.model_fields}
    day = NEXT + timedelta(days=1)
    draft = Draft(**said | {"business_date": day, "opening": last.hash, "inputs": {}})
    approvals: list[Approval] = []
    for name in ("alice", "bob"):
        key_file = books.lake.root / f"{name}.pem"
        register(books.registry, name, make_key(key_file), books.now)
        key = load_key(key_file)
        approvals.append(approve(day, draft.staged(), ["late"], "why", key, books.registry, books.now, approvals))
    signed = [approval.model_dump(mode="json") for approval in approvals]
    append(books.lake, draft.model_copy(update={"approvals": signed}), last.hash)


def test_approvals_are_checked_without_a_registry_too(books: Books):
    approved_day(books)
    assert verify(books.lake, registry=books.registry).findings == ()
    assert verify(books.lake).findings == ()
    stranger = books.lake.root / "other_keys.json"
    register(stranger, "carol", make_key(books.lake.root / "carol.pem"), books.now)
    assert "the maker's key is not registered" in first(verify(books.lake, registry=stranger))
    approvals = json.loads(manifest_path(books.lake, 4).read_bytes())["approvals"]
    approvals[1]["reason"] = "another one"
    path = manifest_path(books.lake, 4)
    path.write_bytes(canonical_json(json.loads(path.read_bytes()) | {"approvals": approvals}))
    assert "approvals: the checker's signature is not valid" in first(verify(books.lake))
