"""Card transactions with their log, their reference files and their lake on S3, from the log to published silver."""

from pathlib import Path

from expectations import delta
from expectations.catalog import Lake
from expectations.tables import PAYMENTS_RAW_BRONZE
from tests.support.card_data import TOKEN_KEY, VISA, token
from tests.support.card_transactions import ABROAD, CARD, ONLINE, transactions, write_references
from tests.support.processes import tollgate

ENTRIES, CHUNK_SIZE = 420, 100


def entry(number: int) -> dict[str, str]:
    """Sales and refunds, some declined; here, abroad and online; by three customers at five merchants."""
    return {
        "id": str(number),
        "date": f"2010-01-{1 + number // 40:02d} {number % 24:02d}:{number % 60:02d}:00",
        "amount": f"$-{number}.50" if number % 10 == 3 else f"${number}.50",
        "errors": "Bad PIN,Insufficient Balance" if number % 20 == 5 else "",
        "client_id": "1556" if number % 3 else str(number % 7),
        "merchant_id": str(number % 5),
    } | ({}, ONLINE, ABROAD)[number % 3]


def test_card_transactions_on_s3(s3_folder, tmp_path: Path):
    write_references(tmp_path)
    (s3_folder / "transactions_data.csv").write_bytes(transactions(*map(entry, range(1, ENTRIES)), {"amount": "?"}))
    for name in ("cards_data.csv", "users_data.csv"):
        (s3_folder / name).upload(tmp_path / name)
        (tmp_path / name).unlink()
    log, lake = str(s3_folder / "transactions_data.csv"), str(s3_folder / "lake")
    settings = {
        "TOLLGATE_CARDS": str(s3_folder / "cards_data.csv"),
        "TOLLGATE_USERS": str(s3_folder / "users_data.csv"),
        "TOLLGATE_TOKEN_KEY": TOKEN_KEY.decode(),
    }
    for command in (("chunk", "--log", log, "--final", "--chunk-size", str(CHUNK_SIZE)), ("publish",)):
        done = tollgate(tmp_path, *command, "--lake", lake, **settings)
        assert done.returncode == 0, done.stdout + done.stderr

    rows = delta.read_rows(Lake(s3_folder / "lake").table(PAYMENTS_RAW_BRONZE.name), PAYMENTS_RAW_BRONZE)
    assert len(rows) == ENTRIES - 1 and {*rows["card_token"].to_pylist()} == {token(VISA)}
    question = (
        "SELECT event_type, merchant_country, is_approved, count(*) AS payments, sum(amount_minor) AS minor "
        "FROM silver.payments_enriched_silver GROUP BY ALL ORDER BY ALL"
    )
    answer = tollgate(tmp_path, "sql", question, "--lake", lake, "--format", "csv")
    assert answer.returncode == 0, answer.stderr
    lines = [line.split(",") for line in answer.stdout.splitlines()[1:]]
    expected: dict[tuple[str, str, str], tuple[int, int]] = {}
    for number in range(1, ENTRIES):
        kind = "refund" if number % 10 == 3 else "authorisation"
        key = (kind, ("US", "", "IT")[number % 3], str(number % 20 != 5))
        payments, minor = expected.get(key, (0, 0))
        expected[key] = (payments + 1, minor + number * 100 + 50)
    assert {(*key,): (int(n), int(minor)) for *key, n, minor in lines} == expected

    scanned = tollgate(tmp_path, "scan-pan", lake, ".tollgate")
    assert scanned.returncode == 0, scanned.stdout
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and CARD["cvv"].encode() in path.read_bytes()]
