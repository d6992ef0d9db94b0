"""Looks at the log and the offset from outside, whether or not a chunker is alive."""

from expectations.catalog import Lake
from expectations.errors import TollgateError
from expectations.offset import read_offset
from expectations.settings import Settings
from orchestration.chunking.audit import SOURCE_READABLE, check_offset_age
from orchestration.chunking.source_log import open_log
from orchestration.outcomes import Outcome


def look(settings: Settings) -> list[Outcome]:
    """SOURCE_READABLE and OFFSET_FRESH as they stand."""
    try:
        log = open_log(settings.log)
        offset = read_offset(Lake(settings.lake).offset_file)
        is_open = offset is None or not offset.is_final
        has_unread = is_open and bool(log.read(offset.byte_offset if offset else 0, 1))
    except TollgateError as error:
        return [SOURCE_READABLE.outcome(False, str(error)), check_offset_age(None, False, settings.clock())]
    return [SOURCE_READABLE.outcome(True, "there"), check_offset_age(offset, has_unread, settings.clock())]
