"""The chunker on its 5-second clock, outside Dagster."""

from collections.abc import Callable, Iterator

from deltalake.exceptions import DeltaError
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from expectations.memory import return_unused
from expectations.thresholds import CHUNKER_INTERVAL_SECONDS
from orchestration.chunking.chunker import Chunker, Tick

TRANSIENT = (OSError, DeltaError)
"""What may go away by itself: a disk or network that hiccups, a commit that collides."""


def tick_with_retries(chunker: Chunker, is_final: bool = False, attempts: int = 3) -> Tick | None:
    """One tick; transient errors are tried again, with growing pauses of well under a second."""
    retrying = Retrying(
        stop=stop_after_attempt(attempts),
        wait=wait_exponential_jitter(initial=0.1, max=1.0),
        retry=retry_if_exception_type(TRANSIENT),
        reraise=True,
    )
    tick = retrying(chunker.tick, is_final)
    return_unused()
    return tick


def drain(chunker: Chunker, is_final: bool = False) -> Iterator[Tick]:
    """Ticks without a pause until nothing is left."""
    while tick := tick_with_retries(chunker, is_final):
        yield tick


def follow(
    chunker: Chunker,
    elapsed: Callable[[], float],
    sleep: Callable[[float], None],
    interval_seconds: float = CHUNKER_INTERVAL_SECONDS,
) -> Iterator[Tick | None]:
    """A tick every interval, for ever; None where there was nothing new."""
    due = elapsed()
    while True:
        yield tick_with_retries(chunker)
        due = max(due + interval_seconds, elapsed())
        sleep(max(0.0, due - elapsed()))
