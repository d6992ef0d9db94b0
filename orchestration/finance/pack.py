"""A business day as a workbook for finance: what a person signs off, with the proof beside it."""

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path

from openpyxl import Workbook
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter

from expectations.catalog import Lake
from expectations.currencies import minor_unit_exponents
from expectations.finance import AUDITED_DAILY_BREAKS, AUDITED_DAILY_SETTLEMENT
from orchestration.finance.actions import read_actions
from orchestration.finance.business_day import read_output
from orchestration.finance.chain import Link, read_chain, stale_days
from orchestration.finance.replay import find_version
from orchestration.finance.verify import verify

Row = Sequence[object]
_WIDEST = 60


def write_pack(lake: Lake, day: date, out: Path, registry: Path) -> None:
    """Writes the workbook of a day's current version: summary, settlement, fees, breaks, sign-off, proof.

    Amounts are in whole units of their currency, with its decimals.

    Raises:
        NoSuchVersion: the day was never published.
    """
    link = find_version(lake, day, None)
    settlement = read_output(lake, link, AUDITED_DAILY_SETTLEMENT).to_pylist()
    breaks = read_output(lake, link, AUDITED_DAILY_BREAKS).to_pylist()
    sheets: dict[str, Callable[[], Iterable[Row]]] = {
        "Summary": lambda: _summary(lake, link),
        "Settlement": lambda: _settlement(settlement),
        "Fees": lambda: _fees(settlement),
        "Breaks": lambda: _breaks(lake, breaks),
        "Sign-off": lambda: _sign_off(link),
        "Proof": lambda: _proof(lake, link, registry),
    }
    book = Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        _fill(book, title, [*rows()])
    out.parent.mkdir(parents=True, exist_ok=True)
    book.save(out)


def _fill(book: Workbook, title: str, rows: Sequence[Row]) -> None:
    sheet = book.create_sheet(title)
    for row in rows:
        # A text that begins like a formula must not become one.
        sheet.append([f"'{value}" if isinstance(value, str) and value[:1] in "=+-@" else value for value in row])
    for cell in sheet[1]:
        cell.font = Font(bold=True)
    sheet.freeze_panes = "A2"
    for at, cells in enumerate(zip(*(map(str, row) for row in rows if len(row) == len(rows[0])), strict=True), start=1):
        sheet.column_dimensions[get_column_letter(at)].width = min(max(map(len, cells)) + 2, _WIDEST)


def _major(amount_minor: int, currency: str) -> Decimal:
    return Decimal(amount_minor).scaleb(-minor_unit_exponents()[currency])


def _summary(lake: Lake, link: Link) -> Iterable[Row]:
    manifest = link.manifest
    status = "stale" if manifest.business_date in stale_days(read_chain(lake)) else "audited"
    yield ("business day", "status", "version", "published at (UTC)", "published by", "reason")
    yield (
        manifest.business_date,
        status,
        manifest.version,
        manifest.published_at.replace(tzinfo=None),
        manifest.published_by,
        manifest.reason or "",
    )
    yield ()
    names = (
        "gross", "refunds", "chargebacks", "reversals", "fees", "net", "carried_in", "bank_net", "open_breaks",
        "written_off",
    )  # fmt: skip
    yield ("currency", "payments", *(name.replace("_", " ") for name in names))
    for currency, figures in manifest.totals.items():
        yield (currency, figures["payments"], *(_major(figures[f"{name}_minor"], currency) for name in names))
    yield ()
    yield ("net + carried in = bank net + open breaks + written off",)


def _settlement(rows: Sequence[dict]) -> Iterable[Row]:
    money = [name for name in AUDITED_DAILY_SETTLEMENT.columns if name.endswith("_minor")]
    yield (
        "merchant", "processor", "currency", "payments",
        *(name.removesuffix("_minor").replace("_", " ") for name in money),
    )  # fmt: skip
    for row in rows:
        amounts = (_major(row[name], row["currency"]) for name in money)
        yield (row["merchant_id"], row["processor"], row["currency"], row["payments"], *amounts)


def _fees(rows: Sequence[dict]) -> Iterable[Row]:
    found: dict[tuple[str, str], list[int]] = {}
    for row in rows:
        sums = found.setdefault((row["processor"], row["currency"]), [0, 0, 0])
        for at, name in enumerate(("payments", "gross_minor", "fees_minor")):
            sums[at] += row[name]
    yield ("processor", "currency", "payments", "gross", "fees", "fees / gross")
    for (processor, currency), (payments, gross, fees) in sorted(found.items()):
        share = round(Decimal(fees) / gross, 6) if gross else None
        yield (processor, currency, payments, _major(gross, currency), _major(fees, currency), share)


def _breaks(lake: Lake, rows: Sequence[dict]) -> Iterable[Row]:
    said: dict[str, list[str]] = {}
    for action in read_actions(lake):
        said.setdefault(action.break_id, []).append(f"{action.at:%Y-%m-%d} {action.by}: {action.kind} {action.text}")
    yield (
        "break", "type", "status", "resolution", "about", "merchant", "processor", "currency", "amount", "fee", "net",
        "opened on", "age in days", "what was done",
    )  # fmt: skip
    for row in sorted(rows, key=lambda row: (row["status"] != "open", -row["age_days"], row["break_id"])):
        yield (
            row["break_id"],
            row["break_type"],
            row["status"],
            row["resolution"] or "",
            row["group_key"],
            row["merchant_id"],
            row["processor"],
            row["currency"],
            *(_major(row[name], row["currency"]) for name in ("amount_minor", "fee_minor", "net_minor")),
            row["opened_on"],
            row["age_days"],
            "; ".join(said.get(row["break_id"], [])),
        )


def _sign_off(link: Link) -> Iterable[Row]:
    yield ("asset", "check", "passed", "what was found")
    for check in link.manifest.checks:
        yield (check.asset, check.check, "yes" if check.passed else "NO", check.summary)
    yield ()
    yield ("role", "by", "at (UTC)", "reason", "lifts", "signature")
    for approval in link.manifest.approvals:
        yield (
            approval["role"],
            approval["by"],
            approval["approved_at"],
            approval["reason"],
            ", ".join(approval["checks"]),
            approval["signature"] or "UNSIGNED: demo only",
        )
    if not link.manifest.approvals:
        yield ("none was needed",)


def _proof(lake: Lake, link: Link, registry: Path) -> Iterable[Row]:
    manifest = link.manifest
    found = verify(lake, days={manifest.business_date}, registry=registry)
    verdict = "authenticated" if found.is_authenticated else "consistent, not authenticated"
    yield ("what", "value")
    yield ("verification", str(found.findings[0]) if found.findings else verdict)
    yield ("manifest", f"{manifest.sequence:06d}.json")
    yield ("manifest hash", link.hash)
    yield ("manifest before", manifest.previous)
    yield ("opening manifest", manifest.opening)
    yield ("head of the chain", found.head)
    yield ("code", f"{manifest.code.version}, {manifest.code.hash}")
    for name, value in manifest.configuration.items():
        yield (f"configuration: {name}", str(value))
    for side, given in manifest.inputs.items():
        for name, table in given.tables.items():
            yield (f"input {side}: {name}, {table.rows:,} rows", table.hash)
    for name, output in manifest.outputs.items():
        yield (f"output: {name}, {output.rows:,} rows", output.hash)
