"""Cutting a stretch of a CSV file into records, without understanding them.

A record ends at a newline before which the quotes of that record are balanced, so quoted newlines stay inside.
The cut depends on the bytes alone, never on how the file is read: the same file gives the same records.
"""

import re
from dataclasses import dataclass

import numpy as np

from expectations.thresholds import MAX_ENTRY_BYTES

_NEWLINE = 10
_STRAY_RETURN = re.compile(rb"\r(?!\n)")
_BYTE_ORDER_MARK = re.compile(rb"\xef\xbb\xbf")


@dataclass(frozen=True)
class Records:
    """Consecutive records of one block.

    Attributes:
        ends: int64, where each record ends in the block (exclusive, its newline included), ascending.
        unterminated: bool, whether the record opens a quote that it does not close within MAX_ENTRY_BYTES.
        spans_lines: whether any record holds a newline of its own.
    """

    ends: np.ndarray
    unterminated: np.ndarray
    spans_lines: bool

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def starts(self) -> np.ndarray:
        return np.concatenate([np.zeros(1, np.int64), self.ends[:-1]])[: len(self.ends)]

    @property
    def lengths(self) -> np.ndarray:
        return self.ends - self.starts


def split_records(block: bytes, quote: str, limit: int, is_end: bool) -> Records:
    """The first `limit` whole records of `block`, which starts where a record starts.

    Args:
        block: a stretch of the file.
        quote: the quote character of the dialect.
        limit: how many records at most.
        is_end: nothing will ever follow the block, so that its last record may lack a newline, and a quote
            that is still open never closes. Otherwise a record that may yet go on is left for later.
    """
    octets = np.frombuffer(block, np.uint8)
    newlines = np.flatnonzero(octets == _NEWLINE)
    if is_end and block and octets[-1] != _NEWLINE:
        newlines = np.append(newlines, len(block))
    quotes_before = np.searchsorted(np.flatnonzero(octets == ord(quote)), newlines)
    is_open = (quotes_before & 1).astype(bool)
    if not is_open[:limit].any():
        ends, unterminated = newlines[:limit] + 1, np.zeros(min(limit, len(newlines)), bool)
        spans_lines = False
    else:
        ends, unterminated = _follow_quotes(newlines, quotes_before, limit, len(block), is_end)
        spans_lines = True
    return Records(np.minimum(ends, len(block)).astype(np.int64), unterminated, spans_lines)


def _follow_quotes(
    newlines: np.ndarray, quotes_before: np.ndarray, limit: int, length: int, is_end: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Record ends where some newline lies inside quotes: runs of plain lines at once, the others one by one."""
    by_parity = [np.flatnonzero((quotes_before & 1) == parity) for parity in (0, 1)]

    def next_with(parity: int, line: int) -> int:
        found = by_parity[parity]
        at = np.searchsorted(found, line)
        return int(found[at]) if at < len(found) else len(newlines)

    ends: list[int] = []
    unterminated: list[bool] = []
    line, closed_parity, start = 0, 0, 0
    while line < len(newlines) and len(ends) < limit:
        closing = next_with(closed_parity, line)
        if closing == line:
            stop = min(next_with(1 - closed_parity, line), line + limit - len(ends))
            ends += (newlines[line:stop] + 1).tolist()
            unterminated += [False] * (stop - line)
            line = stop
        elif closing < len(newlines) and newlines[closing] - start < MAX_ENTRY_BYTES:
            ends.append(int(newlines[closing]) + 1)
            unterminated.append(False)
            line = closing + 1
        elif is_end or length - start > MAX_ENTRY_BYTES:
            # The quote never closes: its first line is an entry of its own, and the next starts afresh.
            ends.append(int(newlines[line]) + 1)
            unterminated.append(True)
            closed_parity = int(quotes_before[line] & 1)
            line += 1
        else:
            break
        start = ends[-1]
    return np.array(ends, np.int64), np.array(unterminated, bool)


def field_counts(block: bytes, records: Records, quote: str, delimiter: str) -> np.ndarray:
    """int64, the number of fields of each record: delimiters outside quotes, plus one."""
    octets = np.frombuffer(block, np.uint8)
    delimiters = np.flatnonzero(octets == ord(delimiter))
    quotes = np.flatnonzero(octets == ord(quote))
    if len(records) == 0:
        return np.zeros(0, np.int64)
    delimiters = delimiters[delimiters < records.ends[-1]]
    record = np.searchsorted(records.ends, delimiters, side="right")
    quotes_at_start = np.searchsorted(quotes, records.starts)
    is_outside = ((np.searchsorted(quotes, delimiters) - quotes_at_start[record]) & 1) == 0
    return np.bincount(record[is_outside], minlength=len(records)) + 1


def irregular(block: bytes, records: Records, quote: str, delimiter: str) -> np.ndarray:
    """bool, which records a CSV reader may end elsewhere, or read otherwise at the head of a block than inside it.

    They hold a quote inside an unquoted field or text after a closing one, a carriage return that ends no line, or
    a byte order mark, or they are empty. Parsed one by one they come out the same whatever stands around them.
    """
    found = records.lengths <= len("\r\n")
    stray = [match.start() for pattern in (_STRAY_RETURN, _BYTE_ORDER_MARK) for match in pattern.finditer(block)]
    found[np.searchsorted(records.ends, stray, side="right")] = True
    if quote.encode() in block:
        found[_with_misplaced_quotes(block, records, quote.encode(), delimiter.encode())] = True
    return found


def _with_misplaced_quotes(block: bytes, records: Records, quote: bytes, delimiter: bytes) -> np.ndarray:
    """The records, as often as they have a quote that neither borders a field nor is doubled within one."""
    octets = np.frombuffer(block, np.uint8)
    quotes = np.flatnonzero(octets == ord(quote))
    quotes_before = np.searchsorted(quotes, records.starts)
    record = np.repeat(np.arange(len(records)), np.diff(quotes_before, append=len(quotes)))
    opens = (np.arange(len(quotes)) - quotes_before[record]) % 2 == 0
    neighbour = octets[np.clip(quotes + np.where(opens, -1, 1), 0, len(octets) - 1)]
    fits = np.zeros(256, bool)
    fits[[*b"\r\n", *quote, *delimiter]] = True
    return record[~fits[neighbour]]
