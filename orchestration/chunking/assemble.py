"""Builds the chunker that the settings describe."""

from functools import cache, partial

from expectations.card_numbers import load_tokeniser
from expectations.catalog import Lake
from expectations.memory import return_early
from expectations.settings import Settings
from expectations.sources.references import References
from orchestration.chunking.chunker import Chunker
from orchestration.faults import commit_points


def make_chunker(settings: Settings) -> Chunker:
    """The chunker of the configured log and lake. A token key is asked for only once a card number is met."""
    return_early()
    make_tokeniser = cache(partial(load_tokeniser, settings))
    return Chunker(
        lake=Lake(settings.lake),
        log_path=settings.log,
        chunk_size=settings.chunk_size,
        clock=settings.clock,
        make_tokeniser=make_tokeniser,
        day_zero=settings.banksim_day_zero,
        passed=commit_points(settings),
        references=References(settings.cards, settings.users, make_tokeniser),
    )
