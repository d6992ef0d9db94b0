"""Keys, signatures and approvals: nobody signs twice, for somebody else, or for something else."""

import base64
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from expectations.catalog import Lake
from orchestration.finance.signatures import (
    Approval,
    KeyUnusable,
    SameSigner,
    approve,
    explain_approvals,
    is_signed_by,
    load_key,
    make_key,
    public_key,
    read_approvals,
    register,
    registered,
    sign,
    signer_of,
    store_approval,
)

DAY = date(2026, 10, 12)
NOW = datetime(2026, 11, 1, tzinfo=UTC)
STAGED = "STAGEDSTAGEDSTAG"
CHECKS = ("breaks_within_tolerance", "late_rows")


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


@pytest.fixture
def alice(tmp_path: Path, registry: Path) -> Ed25519PrivateKey:
    return person(tmp_path, registry, "alice")


@pytest.fixture
def bob(tmp_path: Path, registry: Path) -> Ed25519PrivateKey:
    return person(tmp_path, registry, "bob")


def person(folder: Path, registry: Path, name: str) -> Ed25519PrivateKey:
    register(registry, name, make_key(folder / f"{name}.pem"), NOW)
    return load_key(folder / f"{name}.pem")


def signed(key: Ed25519PrivateKey | None, registry: Path, *earlier: Approval, **other: object) -> Approval:
    said = {"day": DAY, "staged": STAGED, "checks": CHECKS, "reason": "the bank confirmed it"} | other
    return approve(**said, key=key, registry=registry, now=NOW, earlier=earlier)


def forged(approval: Approval, key: Ed25519PrivateKey, **change: object) -> Approval:
    """Changed, and signed again by a key of one's own."""
    changed = approval.model_copy(update=change)
    return changed.model_copy(update={"signature": sign(key, changed.message())})


def test_a_key_is_for_its_owner_alone_and_never_overwritten(tmp_path: Path):
    path = tmp_path / "keys" / "alice.pem"
    public = make_key(path)
    kept = path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600 and kept.startswith(b"-----BEGIN PRIVATE KEY-----")
    assert len(base64.b64decode(public)) == 32 and public_key(load_key(path)) == public
    with pytest.raises(KeyUnusable, match="there is a file already"):
        make_key(path)
    assert path.read_bytes() == kept


def test_what_is_no_key_is_refused(tmp_path: Path):
    path = tmp_path / "key.pem"
    with pytest.raises(KeyUnusable, match="cannot be read as a private key"):
        load_key(path)
    path.write_text("a secret")
    with pytest.raises(KeyUnusable, match="cannot be read as a private key"):
        load_key(path)
    other = ec.generate_private_key(ec.SECP256R1())
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    path.write_bytes(other.private_bytes(encoding, form, serialization.NoEncryption()))
    with pytest.raises(KeyUnusable, match="is not an ed25519 key"):
        load_key(path)


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_a_signature_is_of_one_key_and_one_message(message: bytes, other: bytes):
    key, stranger = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    signature = sign(key, message)
    assert is_signed_by(public_key(key), message, signature)
    assert is_signed_by(public_key(key), other, signature) == (message == other)
    assert not is_signed_by(public_key(stranger), message, signature)


@pytest.mark.parametrize("text", ["", "A", "not base64!", "AAAA", "\u00e4", "A" * 88])
def test_what_is_no_signature_or_no_key_signs_nothing(text: str):
    key = Ed25519PrivateKey.generate()
    assert not is_signed_by(public_key(key), b"message", text)
    assert not is_signed_by(text, b"message", sign(key, b"message"))


def test_a_registry_only_grows(tmp_path: Path, registry: Path, alice: Ed25519PrivateKey):
    register(registry, "alice", public_key(alice), NOW + timedelta(days=1))
    assert registered(registry)["alice"].registered_at == NOW
    with pytest.raises(KeyUnusable, match="alice has another key"):
        register(registry, "alice", make_key(tmp_path / "second.pem"), NOW)
    with pytest.raises(KeyUnusable, match="this is the key of alice"):
        register(registry, "mallory", public_key(alice), NOW)
    assert {*registered(registry)} == {"alice"}
    assert json.loads(registry.read_bytes())["alice"]["key"] == public_key(alice)


def test_a_signer_is_who_has_registered_the_key(registry: Path, alice: Ed25519PrivateKey):
    assert signer_of(registry, alice) == "alice"
    with pytest.raises(KeyUnusable, match=r"the key is not registered .* - register it"):
        signer_of(registry, Ed25519PrivateKey.generate())


@pytest.mark.parametrize("content", ["{", "[]", '{"alice": {}}', '{"alice": {"key": "x", "registered_at": "never"}}'])
def test_a_registry_that_is_none(registry: Path, content: str):
    assert registered(registry) == {}
    registry.write_text(content)
    with pytest.raises(KeyUnusable, match="not a registry of keys"):
        registered(registry)


def test_the_first_is_the_maker_and_another_person_the_checker(
    registry: Path, alice: Ed25519PrivateKey, bob: Ed25519PrivateKey
):
    maker = signed(alice, registry)
    assert (maker.role, maker.by, maker.is_valid()) == ("maker", "alice", True)
    alone = explain_approvals([maker], STAGED, registry)
    assert not alone.is_complete and alone.text == "a maker and a checker must sign"
    checker = signed(bob, registry, maker)
    assert (checker.role, checker.by) == ("checker", "bob")
    both = explain_approvals([maker, checker], STAGED, registry)
    assert both.is_complete and both.text == "approved by alice (maker), bob (checker): the bank confirmed it"
    with pytest.raises(SameSigner, match="has both signatures"):
        signed(bob, registry, maker, checker)


def test_nobody_signs_twice(registry: Path, alice: Ed25519PrivateKey):
    maker = signed(alice, registry)
    with pytest.raises(SameSigner, match=r"alice has signed .* another person, with another key"):
        signed(alice, registry, maker)
    # Also not by going around the front door.
    again = forged(maker, alice, role="checker")
    assert explain_approvals([maker, again], STAGED, registry).text == "maker and checker are one"


def test_nobody_signs_who_is_not_registered(registry: Path, alice: Ed25519PrivateKey, bob: Ed25519PrivateKey):
    stranger = Ed25519PrivateKey.generate()
    with pytest.raises(KeyUnusable, match="not registered"):
        signed(stranger, registry)
    maker = signed(alice, registry)
    checker = signed(bob, registry, maker)
    for claimed in ("bob", "mallory"):
        own = forged(checker, stranger, by=claimed, public_key=public_key(stranger))
        assert own.is_valid()
        assert explain_approvals([maker, own], STAGED, registry).text == "the checker's key is not registered"


TAMPERED = {
    "business_date": date(2026, 10, 13),
    "checks": ("late_rows",),
    "reason": "because",
    "approved_at": NOW + timedelta(days=1),
    "by": "alice",
    "signature": base64.b64encode(bytes(64)).decode(),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_what_is_signed_cannot_be_changed(name: str, registry: Path, alice: Ed25519PrivateKey, bob: Ed25519PrivateKey):
    maker = signed(alice, registry)
    checker = signed(bob, registry, maker).model_copy(update={name: TAMPERED[name]})
    assert not checker.is_valid()
    assert not explain_approvals([maker, checker], STAGED, registry).is_complete


def test_both_sign_for_the_same(registry: Path, alice: Ed25519PrivateKey, bob: Ed25519PrivateKey):
    maker = signed(alice, registry)
    other = signed(bob, registry, maker, staged="ANOTHERANOTHERAN")
    assert explain_approvals([maker, other], STAGED, registry).text == "the checker signed for another attempt"
    fewer = signed(bob, registry, maker, checks=CHECKS[:1])
    assert fewer.is_valid()
    said = explain_approvals([maker, fewer], STAGED, registry)
    assert (said.is_complete, said.text) == (False, "maker and checker signed for different checks")


def test_the_order_of_checks_does_not_matter(registry: Path, alice: Ed25519PrivateKey, bob: Ed25519PrivateKey):
    maker = signed(alice, registry)
    checker = signed(bob, registry, maker, checks=CHECKS[::-1])
    assert explain_approvals([maker, checker], STAGED, registry).is_complete


def test_two_makers_or_three_signatures_are_not_enough(
    registry: Path, alice: Ed25519PrivateKey, bob: Ed25519PrivateKey
):
    maker, second = signed(alice, registry), signed(bob, registry)
    for approvals in ([], [maker, second], [second, maker], [maker, second, signed(bob, registry, maker)]):
        assert not explain_approvals(approvals, STAGED, registry).is_complete


def test_unsigned_ones_count_in_a_demo_only(registry: Path):
    maker = signed(None, registry)
    checker = signed(None, registry, maker)
    assert (maker.by, maker.signature, maker.is_valid()) == ("nobody", None, False)
    said = explain_approvals([maker, checker], STAGED, registry)
    assert (said.is_complete, said.text) == (False, "the maker's approval is not signed")
    assert explain_approvals([maker, checker], STAGED, registry, unsigned_allowed=True).is_complete


def test_approvals_are_kept_and_never_replaced(
    tmp_path: Path, registry: Path, alice: Ed25519PrivateKey, bob: Ed25519PrivateKey
):
    lake = Lake(tmp_path / "lake")
    maker = signed(alice, registry)
    store_approval(lake, maker)
    with pytest.raises(SameSigner, match="there is a maker's signature already"):
        store_approval(lake, signed(bob, registry))
    checker = signed(bob, registry, *read_approvals(lake, DAY, STAGED))
    store_approval(lake, checker)
    assert read_approvals(lake, DAY, STAGED) == [maker, checker]
    assert read_approvals(lake, DAY, "ANOTHERANOTHERAN") == []
    names = sorted(path.name for path in (lake.finance / "approvals" / "2026-10-12").iterdir())
    assert names == [f"{STAGED}_checker.json", f"{STAGED}_maker.json"]
