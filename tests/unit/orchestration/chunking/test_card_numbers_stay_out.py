"""Card numbers planted in every source column, of sound and of rejected rows, are found nowhere afterwards."""

import logging
import re
import traceback
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from expectations.card_scanner import scan
from expectations.catalog import Lake
from expectations.errors import CardNumberFound, SettingsError, SourceError, TollgateError
from expectations.landing import Chunk, encode_chunk
from expectations.payments import PAYMENT
from expectations.schema import DataType
from expectations.sources import adapter as adapters
from orchestration.chunking import audit
from orchestration.chunking.gates import check_chunk
from tests.support import lake_contents
from tests.support.adapting import adapted_blocks
from tests.support.card_data import VISA, card_number, spellings, token
from tests.support.chunking import chunk_all, make_chunker
from tests.support.payment_logs import BANKSIM_LINE, PAYMENT_LINE, banksim, banksim_log, csv_log, payment

COLUMNS = (*PAYMENT_LINE, "a column that is none of ours")


def planted(columns: tuple[str, ...]) -> list[tuple[str, str, str]]:
    """(column, card number, how it is spelt): a number of its own for each spelling in each column."""
    found = []
    for serial, column in enumerate(columns):
        for way in range(3):
            number = card_number("4", 16, f"{serial * 3 + way:03d}0")
            found.append((column, number, spellings(number)[way]))
    return found


def everything(folder: Path, captured: str) -> str:
    """All that was written, tables decoded, as one text without blanks and hyphens."""
    texts = [captured]
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            texts.append(path.read_bytes().decode("latin-1"))
        if path.suffix == ".parquet":
            texts += [str(row) for row in pq.read_table(path, partitioning=None).to_pylist()]
    return re.sub("[ -]", "", "\n".join(texts))


def shown_so_far(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> str:
    return "".join(capfd.readouterr()) + caplog.text


def assert_nowhere(numbers: list[str], folder: Path, captured: str) -> None:
    haystack = everything(folder, captured)
    assert not [number for number in numbers if number in haystack]
    assert scan([folder]).findings == ()


@pytest.mark.parametrize("is_rejected", [False, True], ids=["sound rows", "rejected rows"])
def test_ours_in_every_column(tmp_path: Path, capfd, caplog, is_rejected: bool):
    """A rejected row breaks in a second column; in a sound one the planted number itself may be what is wrong."""
    caplog.set_level(logging.DEBUG)
    rows, numbers = [], []
    for column, number, spelling in planted(COLUMNS):
        fault = {"amount": "x"} if column == "event_type" else {"event_type": "x"}
        row = payment(**{COLUMNS[-1]: "", "card_number": ""}) | (fault if is_rejected else {}) | {column: spelling}
        rows.append(row)
        numbers.append(number)
    (tmp_path / "log.csv").write_bytes(csv_log(rows, COLUMNS))
    ticks = chunk_all(tmp_path / "log.csv", tmp_path / "lake", chunk_size=50)
    assert sum(tick.rows + tick.quarantined for tick in ticks) == len(rows)
    if is_rejected:
        assert sum(tick.rows for tick in ticks) == 0
    else:
        tokens = {token(number) for number in numbers}
        landed = lake_contents.rows(Lake(tmp_path / "lake"), "payments_raw_bronze", "_row_number")
        texts = {field.name for field in PAYMENT.fields if field.type is DataType.STRING}
        texts -= {"event_type", "currency", "card_bin6", "card_last4"}
        assert len({value for row in landed for value in row.values()} & tokens) == 3 * len(texts), "texts hold tokens"
    assert_nowhere(numbers, tmp_path / "lake", shown_so_far(capfd, caplog) + repr(ticks))


@pytest.mark.parametrize("is_rejected", [False, True], ids=["sound rows", "rejected rows"])
def test_banksim_in_every_column(tmp_path: Path, capfd, caplog, is_rejected: bool):
    caplog.set_level(logging.DEBUG)
    found = planted(tuple(BANKSIM_LINE))
    rows = []
    for column, _, spelling in found:
        fault = {"step": "x"} if column == "amount" else {"amount": "x"}
        rows.append(banksim(**(fault if is_rejected else {}) | {column: spelling}))
    (tmp_path / "log.csv").write_bytes(banksim_log(rows))
    ticks = chunk_all(tmp_path / "log.csv", tmp_path / "lake", chunk_size=50)
    assert sum(tick.rows + tick.quarantined for tick in ticks) == len(rows)
    assert_nowhere([number for _, number, _ in found], tmp_path / "lake", shown_so_far(capfd, caplog) + repr(ticks))


@pytest.mark.parametrize("spelling", spellings(VISA))
@pytest.mark.parametrize(
    "line",
    [
        b"too short,%s\n",
        b'"never closed,%s\n',
        b"no text \xff,%s\n",
        b"one\r%s,two\n",
        b'"%s"x"\n',
        b"%s\n",
        b"a" * 70_000 + b"%s\n",
        b"a" * 65_530 + b"%s" + b"b" * 100 + b"\n",
    ],
    ids=["short", "unterminated", "bad encoding", "stray return", "stray quote", "alone", "long", "where it is cut"],
)
def test_in_lines_that_are_no_records(tmp_path: Path, capfd, caplog, line: bytes, spelling: str):
    caplog.set_level(logging.DEBUG)
    content = csv_log([payment()]) + line.replace(b"%s", spelling.encode()) + csv_log([payment()]).split(b"\n", 1)[1]
    (tmp_path / "log.csv").write_bytes(content)
    ticks = chunk_all(tmp_path / "log.csv", tmp_path / "lake")
    assert sum(tick.quarantined for tick in ticks) >= 1
    assert_nowhere([VISA], tmp_path / "lake", shown_so_far(capfd, caplog) + repr(ticks))


def told(error: BaseException) -> str:
    """All that a traceback would show, causes included."""
    return re.sub("[ -]", "", "".join(traceback.format_exception(error)))


FULL_OF_CARDS = csv_log([payment(**dict.fromkeys(PAYMENT_LINE, VISA))])
"""Every cell a card number."""


@pytest.mark.parametrize(
    "content",
    [
        FULL_OF_CARDS.split(b"\n", 1)[1],
        FULL_OF_CARDS.replace(b"amount", VISA.encode(), 1),
        FULL_OF_CARDS.decode().encode("utf-16"),
        FULL_OF_CARDS.replace(b"city,", VISA.encode() + b"," + VISA.encode() + b",", 1),
        (VISA * 10_000).encode(),
    ],
    ids=["no header", "a column called so", "UTF-16", "two columns called so", "no lines"],
)
def test_in_sources_that_cannot_be_read(tmp_path: Path, content: bytes):
    (tmp_path / "log.csv").write_bytes(content)
    with pytest.raises(SourceError) as raised:
        make_chunker(tmp_path / "log.csv", tmp_path / "lake").tick(is_final=True)
    assert VISA not in told(raised.value)


def test_in_a_log_that_was_rewritten(tmp_path: Path):
    (tmp_path / "log.csv").write_bytes(csv_log([payment()]))
    chunk_all(tmp_path / "log.csv", tmp_path / "lake")
    (tmp_path / "log.csv").write_bytes(csv_log([payment(customer_id=VISA)] * 3))
    with pytest.raises(SourceError, match="rewritten") as raised:
        make_chunker(tmp_path / "log.csv", tmp_path / "lake").tick()
    assert VISA not in told(raised.value)


def test_when_there_is_no_key(tmp_path: Path):
    def no_key():
        raise SettingsError("there is no key")

    (tmp_path / "log.csv").write_bytes(FULL_OF_CARDS + csv_log([payment()]).split(b"\n", 1)[1])
    with pytest.raises(SettingsError) as raised:
        make_chunker(tmp_path / "log.csv", tmp_path / "lake", make_tokeniser=no_key).tick()
    assert VISA not in told(raised.value)
    assert lake_contents.files(tmp_path / "lake") == {}


def test_the_gate_holds_should_the_adapter_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """With the adapter's own guards taken away, nothing is written, and the error does not tell the number."""
    monkeypatch.setattr(adapters, "_without_card_numbers", lambda rows, make_tokeniser: rows)
    monkeypatch.setattr(adapters, "mask_long_numbers", lambda text: text)
    for changes in ({"city": f"paid {VISA}"}, {"city": VISA, "amount": "x", "card_number": ""}):
        (tmp_path / "log.csv").write_bytes(csv_log([payment(**changes)]))
        with pytest.raises(CardNumberFound, match="would have been written") as raised:
            make_chunker(tmp_path / "log.csv", tmp_path / "lake").tick()
        assert VISA not in told(raised.value)
        assert lake_contents.files(tmp_path / "lake") == {}


def test_the_gate_counts_entries():
    ((_, adapted),) = adapted_blocks(csv_log([payment()] * 3))
    content = encode_chunk(adapted.rows)
    check_chunk(Chunk(0, 2, "log"), adapted, content)
    for wrong in (Chunk(0, 3, "log"), Chunk(1, 3, "log"), Chunk(0, 1, "log")):
        with pytest.raises(TollgateError, match="entries became 3 rows and 0 quarantined ones"):
            check_chunk(wrong, adapted, content)


def test_the_check_sees_one_in_the_lake_and_does_not_tell_it(tmp_path: Path):
    (tmp_path / "log.csv").write_bytes(csv_log([payment()]))
    chunk_all(tmp_path / "log.csv", tmp_path / "lake")
    outside = tmp_path / "logs"
    outside.mkdir()
    (outside / "compute.err").write_text(f"ValueError: {VISA}")
    (tmp_path / "lake" / "canary").write_text(VISA)
    verdict = next(o for o in audit.check_lake(Lake(tmp_path / "lake"), [outside]) if o.check == "no_card_numbers")
    assert (verdict.passed, verdict.figures["card_numbers"]) == (False, 2)
    assert VISA not in repr(verdict) and "canary" in verdict.summary and "compute.err" in verdict.summary
