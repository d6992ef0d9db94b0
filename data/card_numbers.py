"""Test card numbers: digits, lengths and check digits. Whose card it is belongs in `cards`."""

import numpy as np

from data.events import Rng

LONGEST = 19  # ISO/IEC 7812-1: a primary account number has at most 19 digits


def draw_card_numbers(rng: Rng, bins: np.ndarray, lengths: np.ndarray) -> list[str]:
    """Random numbers with these six-digit bins in front, these lengths (13 to 19) and a check digit."""
    digits = rng.integers(0, 10, (len(bins), LONGEST), dtype=np.int8)
    position = np.arange(LONGEST) - (LONGEST - lengths[:, None])  # right-aligned; below 0 is padding
    bin_digits = (bins[:, None] // 10 ** np.arange(5, -1, -1)) % 10
    in_bin = (position >= 0) & (position < 6)
    digits[in_bin] = np.take_along_axis(bin_digits, np.clip(position, 0, 5), axis=1)[in_bin]
    digits[position < 0] = 0
    digits[:, -1] = check_digits(digits[:, :-1])
    texts = (digits + ord("0")).astype(np.uint8).tobytes().decode("ascii")
    ends = np.arange(1, len(bins) + 1) * LONGEST
    return [texts[end - length : end] for end, length in zip(ends.tolist(), lengths.tolist(), strict=True)]


def check_digits(payload: np.ndarray) -> np.ndarray:
    """Luhn check digit (ISO/IEC 7812-1, annex B) of each row of digits, which come without it.

    Leading zeros do not matter.
    """
    total = payload.astype(np.int64)
    doubled = total[:, ::-1][:, ::2]  # every second digit, beginning beside the check digit
    doubled[...] = doubled * 2 - 9 * (doubled > 4)
    return (-total.sum(axis=1)) % 10
