"""Who signed: registered ed25519 keys, signatures under manifests, and the two under a day that is beyond tolerance."""

import base64
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from filelock import FileLock
from pydantic import BaseModel, ConfigDict, TypeAdapter, field_serializer

from expectations.catalog import Lake
from expectations.errors import TollgateError
from expectations.files import create_exclusively, replacing
from orchestration.finance.chain import ChainBroken, Link, canonical_json, chain_folder

Role = Literal["maker", "checker"]
UNSIGNED = "nobody"


class KeyUnusable(TollgateError):
    """A key cannot be read, is not registered, or would be registered twice."""


class SameSigner(TollgateError):
    """Maker and checker must be two people with two keys."""


class RegisteredKey(BaseModel):
    """A public key that may sign: base64 of its 32 bytes, and when it was registered, UTC."""

    model_config = ConfigDict(frozen=True)

    key: str
    registered_at: datetime


_REGISTRY = TypeAdapter(dict[str, RegisteredKey])


class Approval(BaseModel):
    """One of the two signatures under a day that is beyond tolerance.

    Attributes:
        business_date: the day.
        staged: identity of the attempt: inputs, configuration and outputs.
        checks: what it lifts.
        reason: why the day may be published.
        role: `maker` or `checker`.
        by: who signed; `nobody` if unsigned.
        public_key: base64; empty if unsigned.
        approved_at: when, UTC.
        signature: base64, over the canonical JSON of all other fields; None if unsigned, which counts in a demo only.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    business_date: date
    staged: str
    checks: tuple[str, ...]
    reason: str
    role: Role
    by: str
    public_key: str
    approved_at: datetime
    signature: str | None = None

    @field_serializer("approved_at")
    def _instant(self, instant: datetime) -> str:
        return instant.astimezone(UTC).isoformat(timespec="microseconds")

    def message(self) -> bytes:
        """What is signed."""
        return canonical_json(self.model_dump(mode="json", exclude={"signature"}))

    def is_valid(self) -> bool:
        """Whether the signature is that of the public key that it names."""
        return self.signature is not None and is_signed_by(self.public_key, self.message(), self.signature)


class ManifestSignature(BaseModel):
    """The signature under a manifest, beside its file: over the text of its hash."""

    model_config = ConfigDict(frozen=True)

    by: str
    public_key: str
    signature: str


@dataclass(frozen=True)
class ApprovalState:
    """Whether a day's approvals suffice, and who gave them, or what they lack."""

    is_complete: bool
    text: str


def make_key(path: Path) -> str:
    """Makes a private key, readable by its owner alone; gives the public one in base64.

    Raises:
        KeyUnusable: there is a file already.
    """
    key = Ed25519PrivateKey.generate()
    content = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise KeyUnusable("there is a file already", where=path, remedy="name another one") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    return public_key(key)


def load_key(path: Path) -> Ed25519PrivateKey:
    """A private key from its file.

    Raises:
        KeyUnusable: it is none.
    """
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise KeyUnusable(
            "cannot be read as a private key", where=path, remedy="make one: `tollgate finance keygen`"
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyUnusable("is not an ed25519 key", where=path, remedy="make one: `tollgate finance keygen`")
    return key


def public_key(key: Ed25519PrivateKey) -> str:
    """The public half, base64 of its 32 bytes."""
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def sign(key: Ed25519PrivateKey, message: bytes) -> str:
    """The signature, in base64."""
    return base64.b64encode(key.sign(message)).decode()


def is_signed_by(public: str, message: bytes, signature: str) -> bool:
    """Whether a signature over a message is that of a public key."""
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public, validate=True))
        key.verify(base64.b64decode(signature, validate=True), message)
    except (InvalidSignature, ValueError):
        return False
    return True


def registered(registry: Path) -> dict[str, RegisteredKey]:
    """The registered keys by name; none where there is no registry.

    Raises:
        KeyUnusable: it cannot be read as one.
    """
    if not registry.exists():
        return {}
    try:
        return _REGISTRY.validate_json(registry.read_bytes())
    except ValueError as error:
        raise KeyUnusable("not a registry of keys", where=registry, remedy="restore it from a copy") from error


def register(registry: Path, name: str, public: str, now: datetime) -> None:
    """Adds a key. What is registered is never changed.

    Raises:
        KeyUnusable: the name has another key, or the key another name.
    """
    registry.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(registry.with_name(f".{registry.name}.lock")):
        known = registered(registry)
        if name in known and known[name].key != public:
            raise KeyUnusable(f"{name} has another key", where=registry, remedy="register it under another name")
        taken = [other for other, entry in known.items() if entry.key == public and other != name]
        if taken:
            raise KeyUnusable(f"this is the key of {taken[0]}", where=registry, remedy="everybody has their own key")
        known.setdefault(name, RegisteredKey(key=public, registered_at=now.astimezone(UTC)))
        content = {each: entry.model_dump(mode="json") for each, entry in known.items()}
        with replacing(registry) as file:
            file.write(json.dumps(content, indent=1, sort_keys=True).encode() + b"\n")


def signer_of(registry: Path, key: Ed25519PrivateKey) -> str:
    """Under which name a key is registered.

    Raises:
        KeyUnusable: it is not.
    """
    public = public_key(key)
    found = [name for name, entry in registered(registry).items() if entry.key == public]
    if not found:
        raise KeyUnusable("the key is not registered", where=registry, remedy="register it: `tollgate finance keygen`")
    return found[0]


def sign_link(lake: Lake, link: Link, key: Ed25519PrivateKey, registry: Path) -> ManifestSignature:
    """Signs a manifest. Signing it again changes nothing."""
    signature = ManifestSignature(
        by=signer_of(registry, key), public_key=public_key(key), signature=sign(key, link.hash.encode())
    )
    with replacing(signature_path(lake, link)) as file:
        file.write(canonical_json(signature.model_dump()))
    return signature


def read_signature(lake: Lake, link: Link) -> ManifestSignature | None:
    """The signature under a manifest; None where there is none.

    Raises:
        ChainBroken: what is there is none.
    """
    path = signature_path(lake, link)
    if not path.exists():
        return None
    try:
        return ManifestSignature.model_validate_json(path.read_bytes())
    except ValueError as error:
        raise ChainBroken("not a signature", where=path, remedy="sign the manifest again") from error


def signature_path(lake: Lake, link: Link) -> Path:
    """Where the signature under a manifest is."""
    return chain_folder(lake) / f"{link.path.stem}.sig.json"


def approve(
    day: date,
    staged: str,
    checks: Sequence[str],
    reason: str,
    key: Ed25519PrivateKey | None,
    registry: Path,
    now: datetime,
    earlier: Sequence[Approval] = (),
) -> Approval:
    """The next signature under an attempt at a day: the maker's, or after it the checker's.

    Args:
        day, staged, checks, reason: what is approved, and why.
        key: of who signs; None gives an unsigned one.
        registry: of public keys.
        now: when.
        earlier: what was signed before.

    Raises:
        KeyUnusable: the key is not registered.
        SameSigner: the maker would be the checker, or both have signed.
    """
    if len(earlier) > 1:
        raise SameSigner(f"{day} has both signatures", remedy="run the day")
    by = signer_of(registry, key) if key else UNSIGNED
    if key and any(other.public_key == public_key(key) or other.by == by for other in earlier):
        raise SameSigner(f"{by} has signed for {day} already", remedy="another person, with another key, must check it")
    unsigned = Approval(
        business_date=day,
        staged=staged,
        checks=tuple(sorted(checks)),
        reason=reason,
        role="checker" if earlier else "maker",
        by=by,
        public_key=public_key(key) if key else "",
        approved_at=now.astimezone(UTC),
    )
    return unsigned.model_copy(update={"signature": sign(key, unsigned.message())}) if key else unsigned


def store_approval(lake: Lake, approval: Approval) -> None:
    """Keeps an approval; it is never replaced.

    Raises:
        SameSigner: somebody has signed in this role meanwhile.
    """
    path = _approvals(lake, approval.business_date) / f"{approval.staged}_{approval.role}.json"
    try:
        create_exclusively(path, canonical_json(approval.model_dump(mode="json")))
    except FileExistsError as error:
        raise SameSigner(f"there is a {approval.role}'s signature already", where=path) from error


def read_approvals(lake: Lake, day: date, staged: str) -> list[Approval]:
    """The signatures under an attempt at a day, the maker's first."""
    paths = (_approvals(lake, day) / f"{staged}_{role}.json" for role in ("maker", "checker"))
    return [Approval.model_validate_json(path.read_bytes()) for path in paths if path.exists()]


def explain_approvals(
    approvals: Sequence[Approval], staged: str, registry: Path, unsigned_allowed: bool = False
) -> ApprovalState:
    """Whether a maker and a checker have signed for this very attempt, with two registered keys.

    Args:
        approvals: what there is.
        staged: identity of the attempt.
        registry: of public keys.
        unsigned_allowed: in a demo, unsigned ones count.
    """
    if [approval.role for approval in approvals] != ["maker", "checker"]:
        return ApprovalState(False, "a maker and a checker must sign")
    fault = approvals_fault(approvals, staged, registered(registry), unsigned_allowed)
    maker, checker = approvals
    names = (
        "two unsigned approvals (demo)" if maker.signature is None else f"{maker.by} (maker), {checker.by} (checker)"
    )
    return ApprovalState(not fault, fault or f"approved by {names}: {maker.reason}")


def approvals_fault(
    approvals: Sequence[Approval], staged: str, known: Mapping[str, RegisteredKey] | None, unsigned_allowed: bool
) -> str:
    """What is wrong with approvals; empty if nothing is. Without `known` keys, none is looked up."""
    for approval in approvals:
        if approval.staged != staged:
            return f"the {approval.role} signed for another attempt"
        if approval.signature is None:
            if not unsigned_allowed:
                return f"the {approval.role}'s approval is not signed"
            continue
        if known is not None and (approval.by not in known or known[approval.by].key != approval.public_key):
            return f"the {approval.role}'s key is not registered"
        if not approval.is_valid():
            return f"the {approval.role}'s signature is not valid"
    if len({approval.checks for approval in approvals}) > 1:
        return "maker and checker signed for different checks"
    signed = [approval for approval in approvals if approval.signature is not None]
    is_one = len({approval.public_key for approval in signed}) < len(signed)
    return "maker and checker are one" if is_one or len({each.by for each in signed}) < len(signed) else ""


def _approvals(lake: Lake, day: date) -> Path:
    return lake.finance / "approvals" / day.isoformat()
