"""Settings: one place, from the environment (prefix TOLLGATE_) or a `.env` file."""

from datetime import datetime
from pathlib import Path

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings import SettingsError as UnreadableSetting

from expectations import thresholds
from expectations.clock import Clock, frozen_clock, system_clock
from expectations.errors import SettingsError
from expectations.places import Location

HOME = Path(".tollgate")
"""Where everything that Tollgate writes lives by default, below the working directory. Git-ignored."""


class Settings(BaseSettings):
    """What differs from one place to another. Nothing here is read while definitions load."""

    model_config = SettingsConfigDict(env_prefix="TOLLGATE_", env_file=".env", extra="ignore")

    lake: Location = Field(HOME / "lake", description="Root of the lake.")
    log: Location = Field(HOME / "source" / "company.csv", description="The transaction log.")
    chunk_size: int = Field(thresholds.CHUNK_SIZE_ROWS, gt=0, le=1_000_000, description="Rows per grid cell.")
    token_key: SecretStr | None = Field(None, description="Key of the card tokens, 32 bytes or more.")
    token_key_file: Path = Field(HOME / "token.key", description="File that holds the key.")
    banksim_day_zero: datetime = Field(
        datetime.fromisoformat("2026-01-01T00:00:00+00:00"), description="The day that BankSim's step 0 stands for."
    )
    cards: Location | None = Field(None, description="Card-transactions logs: the file with their cards.")
    users: Location | None = Field(None, description="Card-transactions logs: the file with their customers.")
    frozen_clock: datetime | None = Field(None, description="Replays: the instant that every clock shows.")
    spark_master: str = Field("local[2]", description="Spark master URL.")
    spark_packages: list[str] = Field([], description="Spark's artefacts of Java, by their Maven coordinates.")
    spark_conf: dict[str, str] = Field({}, description="Further configuration of Spark.")
    delta_connector: bool = Field(False, description="Spark commits its tables by the Delta connector, not delta-rs.")
    detector_buckets: int = Field(4, gt=0, description="Parallelism of the detector's state; fixed per lake.")
    detector_idle_seconds: float = Field(900, description="A streaming run with nothing to do ends after this.")
    detector_max_life_seconds: float = Field(6 * 3600, description="A streaming run ends at this age.")
    medallion_idle_seconds: float = Field(900, description="A live medallion run with nothing to do ends after this.")
    medallion_max_life_seconds: float = Field(6 * 3600, description="A live medallion run ends at this age.")
    core_banking_url: SecretStr | None = Field(
        None, description="The core banking database, as SQLAlchemy addresses it; the simulated bank's if not given."
    )
    finance_keys: Path = Field(HOME / "finance_keys.json", description="Registered public keys of who approves days.")
    finance_signing_key: Path | None = Field(None, description="Private ed25519 key that signs every manifest.")
    finance_unsigned_approvals: bool = Field(False, description="Approvals need no signature: for a demo.")
    finance_postgres_url: SecretStr | None = Field(None, description="A PostgreSQL that gets the audited tables too.")
    notify_urls: list[str] = Field([], description="Where alerts go: Apprise URLs (webhooks, e-mail, chat).")
    fault_point: str | None = Field(None, description="Fault tests: the commit point at which to die.")

    @property
    def core_banking(self) -> str:
        """Address of the core banking database. The simulated bank has a file of its own for each log."""
        if self.core_banking_url:
            return self.core_banking_url.get_secret_value()
        return f"sqlite:///{HOME / 'source' / self.log.name.partition('.')[0]}.bank.db"

    @property
    def clock(self) -> Clock:
        return frozen_clock(self.frozen_clock) if self.frozen_clock else system_clock


def load_settings(**overrides: object) -> Settings:
    """The settings of this process.

    Raises:
        SettingsError: a value does not parse; names the variable.
    """
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = "TOLLGATE_" + ".".join(str(part) for part in first["loc"]).upper()
        raise SettingsError(f"{name}: {first['msg']}", remedy="correct the variable") from error
    except UnreadableSetting as error:
        raise SettingsError(str(error), remedy="correct the variable: a list is written as JSON") from error
