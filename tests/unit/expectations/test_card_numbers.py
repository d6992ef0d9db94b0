"""Card numbers: what one is, how it is found in text, its token, and the key."""

import hashlib
import stat
import string
import uuid
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from expectations.card_numbers import (
    MAX_DIGITS,
    MIN_DIGITS,
    Tokeniser,
    find_card_numbers,
    fingerprint,
    load_tokeniser,
    luhn_valid,
    make_token_key,
    mask_long_numbers,
    network_of,
)
from expectations.errors import SettingsError
from expectations.settings import Settings
from tests.support.card_data import PREFIXES, TOKEN_KEY, VISA, card_number, grouped, passes_luhn, spellings, token

AMEX = card_number("37", 15)


@st.composite
def cards(draw: st.DrawFn, shortest: int = MIN_DIGITS) -> tuple[str, str]:
    """(network, number), any of the known ranges."""
    network, prefix, length = draw(st.sampled_from([known for known in PREFIXES if known[2] >= shortest]))
    return network, card_number(prefix, length, draw(st.text("0123456789", min_size=1, max_size=19)))


def found(text: str) -> list[str]:
    raw = text.encode()
    return [raw[match.start : match.end].decode() for match in find_card_numbers(raw)]


@given(digits=st.text("0123456789", min_size=1, max_size=30))
@settings(deadline=None, max_examples=100)
def test_the_check_digit_is_luhns(digits: str):
    assert luhn_valid(digits) == passes_luhn(digits)


@pytest.mark.parametrize(
    ("digits", "network"),
    [
        ("4" + "0" * 15, "visa"),
        ("4" + "0" * 14, None),  # Visa has 13, 16 and 19 digits.
        ("34" + "0" * 13, "amex"),
        ("34" + "0" * 14, None),
        ("222099" + "0" * 10, None),
        ("222100" + "0" * 10, "mastercard"),
        ("272099" + "0" * 10, "mastercard"),
        ("272100" + "0" * 10, None),
        ("352799" + "0" * 10, None),
        ("352800" + "0" * 10, "jcb"),
        ("17" + "0" * 14, None),
        ("99" + "0" * 14, None),
    ],
)
def test_issuer_range_and_length_make_the_network(digits: str, network: str | None):
    assert network_of(digits) == network


def test_the_shortest_and_longest_numbers_are_within_what_is_looked_for():
    lengths = [length for _, _, length in PREFIXES]
    assert min(lengths) == MIN_DIGITS and max(lengths) == MAX_DIGITS


@given(card=cards(), before=st.text(string.printable + "é€", max_size=20), after=st.text("0123456789 -.a", max_size=20))
@settings(deadline=None, max_examples=150)
def test_a_card_number_between_word_boundaries_is_found(card: tuple[str, str], before: str, after: str):
    network, number = card
    start = len(f"{before}\n".encode())
    matches = find_card_numbers(f"{before}\n{number}\n{after}".encode())
    assert (start, network) in [(match.start, match.network) for match in matches]


@given(
    card=cards(shortest=13),
    before=st.text("0123456789 -.a", max_size=20),
    after=st.text(string.printable + "é€", max_size=20),
    spelling=st.integers(1, 2),
)
@settings(deadline=None, max_examples=150)
def test_one_in_groups_is_found_too(card: tuple[str, str], before: str, after: str, spelling: int):
    """Whatever digits stand in the words beside it. Twelve digits in groups are too many other things to count."""
    network, number = card
    text = f"{before}\n{spellings(number)[spelling]}\n{after}"
    start = len(f"{before}\n".encode())
    assert (start, network) in [(match.start, match.network) for match in find_card_numbers(text.encode())]


@given(number=cards(shortest=13), spelling=st.integers(1, 2), year=st.integers(1, 9999), code=st.integers(1, 999))
@settings(deadline=None, max_examples=100)
def test_digits_beside_a_number_do_not_hide_it(number: tuple[str, str], spelling: int, year: int, code: int):
    """An expiry before, a security code after, with the very separator of the number. What is redacted covers it."""
    separator = " -"[spelling - 1]
    text = f"{year:04d}{separator}{spellings(number[1])[spelling]}{separator}{code:03d}"
    assert found(text)
    assert number[1] not in Tokeniser(TOKEN_KEY).redact(text).replace(separator, "")


@given(
    pieces=st.lists(st.one_of(cards().map(lambda card: card[1]), st.text("0123456789 -a.", max_size=12)), max_size=5)
)
@settings(deadline=None, max_examples=200)
def test_after_redaction_there_is_none(pieces: list[str]):
    redacted = Tokeniser(TOKEN_KEY).redact(" ".join(pieces))
    assert not found(redacted)


@pytest.mark.parametrize("text", ["ref-%s", "PAN%s", "%s.", "(%s)", '"%s"', "a=%s&b", "%s|%s", "№%s", "%s\x00", "%s,1"])
def test_what_may_touch_a_number(text: str):
    assert VISA in found(text.replace("%s", VISA))


@pytest.mark.parametrize("text", ["ref-%s", "%s.", "(%s)", '"%s"', "a=%s&b", "%s|%s", "%s,1", "card:%s"])
def test_what_may_touch_a_grouped_number(text: str):
    for separator in " -":
        spelling = grouped(AMEX, separator)
        assert spelling in found(text.replace("%s", spelling))


def test_what_is_no_card_number():
    wrong_check_digit = VISA[:-1] + "2"
    no_issuer = card_number("9", 16)
    too_long = card_number("4", 20)
    mixed = f"{VISA[:4]} {VISA[4:8]}-{VISA[8:12]} {VISA[12:]}"
    after_a_point = f"0.{VISA}"
    for text in (wrong_check_digit, no_issuer, too_long, mixed, after_a_point, VISA[:11], ""):
        assert not found(text), text


@given(content=st.binary(max_size=64), version=st.sampled_from([3, 4, 5]), number=st.integers(0, 2**128 - 1))
@settings(deadline=None, max_examples=200)
def test_hashes_and_uuids_are_none(content: bytes, version: int, number: int):
    hashes = [hash_of(content).hexdigest() for hash_of in (hashlib.md5, hashlib.sha1, hashlib.sha256)]
    texts = [
        *hashes,
        *(text.upper() for text in hashes),
        str(uuid.UUID(int=number, version=version)),
        fingerprint(content),
    ]
    assert not found(" ".join(texts))


def test_a_hash_may_look_like_a_card_number_inside():
    for word in (f"{'ab' * 20}{VISA}", f"{VISA}{'0f' * 24}", f"{'AB' * 10}{VISA}{'C' * 28}"):
        assert not found(word)
    assert found(f"{'xy' * 20}{VISA}"), "no hexadecimal word"


@given(
    ms=st.integers(1_000_000_000_000, 2_000_000_000_000),
    score=st.floats(0, 1),
    degrees=st.floats(-180, 180),
    moment=st.datetimes(datetime(1900, 1, 1), datetime(2199, 12, 31)),  # noqa: DTZ001
    seconds=st.integers(1_000_000_000, 2_000_000_000),
)
@settings(deadline=None, max_examples=200)
def test_instants_and_measures_are_none(ms, score, degrees, moment, seconds):
    texts = [
        str(ms),
        f"{ms}000",
        repr(score),
        repr(degrees),
        f"{score:.16f}",
        moment.isoformat(),
        f"{moment:%Y%m%d%H%M%S}",
    ]
    texts += [str(seconds), f"{seconds}.{ms}", f"{moment:%Y-%m-%d %H:%M:%S.%f}Z"]
    # Of the years that the contract admits: others, with day and hour, may look like Visa or Diners.
    assert not found("\n".join(texts))


def test_a_match_never_holds_the_number():
    (match,) = find_card_numbers(f"x {VISA}".encode())
    assert VISA not in repr(match) and not any(VISA in str(part) for part in match)


def test_tokens_are_the_keyed_hash_and_differ_by_number_and_key():
    tokeniser = Tokeniser(TOKEN_KEY)
    assert tokeniser.token(VISA) == token(VISA) == tokeniser.token(VISA)
    assert tokeniser.token(VISA) != tokeniser.token(AMEX)
    assert Tokeniser(TOKEN_KEY[::-1]).token(VISA) != tokeniser.token(VISA)


@given(card=cards())
@settings(deadline=None, max_examples=100)
def test_a_token_cannot_look_like_a_card_number(card: tuple[str, str]):
    made = Tokeniser(TOKEN_KEY).token(card[1])
    assert not found(made) and card[1] not in made and set(made[4:]) <= set(string.ascii_uppercase + "234567")


@given(before=st.text(max_size=9), after=st.text(max_size=9))
@settings(deadline=None, max_examples=100)
def test_redaction_leaves_the_rest_alone(before: str, after: str):
    redacted = Tokeniser(TOKEN_KEY).redact(f"{before}\n{VISA}\n{after}")
    assert redacted == f"{before}\n{token(VISA)}\n{after}"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f"a {VISA} b", "a <16 digits> b"),
        ("4111 1111-1111 1111", "<16 digits>"),
        ("12345678901", "12345678901"),
        ("1 2 3 4 5 6 7 8 9 0 1 2", "<12 digits>"),
        ("٤١١١١١١١١١١١١١١١", "<16 digits>"),
    ],
)
def test_long_numbers_are_masked_whatever_they_are(text: str, masked: str):
    assert mask_long_numbers(text) == masked


@given(text=st.text("0123456789 -ab\n", max_size=60))
@settings(deadline=None, max_examples=200)
def test_what_is_masked_holds_no_card_number(text: str):
    assert not found(mask_long_numbers(text))


@pytest.mark.parametrize("key", [b"", b"x" * 31])
def test_a_short_key_is_refused(key: bytes):
    with pytest.raises(SettingsError, match="shorter than 32 bytes"):
        Tokeniser(key)


def test_without_a_key_nothing_is_tokenised(tmp_path: Path):
    with pytest.raises(SettingsError, match=r"there is none.*tollgate keygen"):
        load_tokeniser(Settings(token_key=None, token_key_file=tmp_path / "absent.key"))


def test_a_new_key_is_for_its_owner_alone_and_is_never_replaced(tmp_path: Path):
    path = tmp_path / "new" / "token.key"
    assert make_token_key(path)
    key = path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and len(key.strip()) >= 32
    assert not make_token_key(path)
    assert path.read_bytes() == key
    assert make_token_key(tmp_path / "other.key") and (tmp_path / "other.key").read_bytes() != key


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o644, 0o666])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int):
    path = tmp_path / "token.key"
    make_token_key(path)
    path.chmod(mode)
    with pytest.raises(SettingsError, match=r"read by others.*chmod 600"):
        load_tokeniser(Settings(token_key=None, token_key_file=path))


def test_the_key_comes_from_the_settings_or_else_from_its_file(tmp_path: Path):
    path = tmp_path / "token.key"
    path.write_bytes(TOKEN_KEY + b"\n")
    path.chmod(0o600)
    from_file = load_tokeniser(Settings(token_key=None, token_key_file=path))
    from_settings = load_tokeniser(
        Settings(token_key=SecretStr(TOKEN_KEY.decode()), token_key_file=tmp_path / "absent")
    )
    assert from_file.token(VISA) == from_settings.token(VISA) == token(VISA)


def test_a_key_does_not_show_in_what_is_printed(tmp_path: Path):
    settings = Settings(token_key=SecretStr(TOKEN_KEY.decode()))
    assert TOKEN_KEY.decode() not in repr(settings) + str(settings) + repr(Tokeniser(TOKEN_KEY))
