"""Files that appear whole or not at all."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from expectations.files import replacing


def test_a_file_is_replaced_only_by_a_whole_one(tmp_path: Path):
    path = tmp_path / "new" / "file"
    with replacing(path) as file:
        file.write(b"first")
    with pytest.raises(RuntimeError, match="half way"), replacing(path) as file:
        file.write(b"sec")
        raise RuntimeError("half way")
    assert path.read_bytes() == b"first"


def test_the_next_writer_overwrites_what_a_killed_one_left(tmp_path: Path):
    path = tmp_path / "file"
    with pytest.raises(RuntimeError), replacing(path) as file:
        file.write(b"a long rest of an earlier try")
        raise RuntimeError
    with replacing(path) as file:
        file.write(b"short")
    assert {found.name: found.read_bytes() for found in tmp_path.iterdir()} == {"file": b"short"}


def test_nobody_sees_it_before_it_is_whole(tmp_path: Path):
    path = tmp_path / "file"
    with replacing(path) as file:
        file.write(b"content")
        assert not path.exists()
        assert all(found.name.startswith(".") for found in tmp_path.iterdir())


def test_writers_of_the_same_file_take_turns(tmp_path: Path):
    """Each writes it bit by bit; what readers see is always one writer's, and whole."""
    path = tmp_path / "file"

    def write(letter: bytes) -> None:
        for _ in range(20):
            with replacing(path) as file:
                for _ in range(8):
                    file.write(letter)
                    file.flush()

    def read() -> set[bytes]:
        return {path.read_bytes() for _ in range(2_000) if path.exists()}

    with ThreadPoolExecutor() as pool:
        reading = pool.submit(read)
        for writing in [pool.submit(write, letter) for letter in (b"a", b"b", b"c")]:
            writing.result()
        seen = reading.result() | {path.read_bytes()}
    assert seen <= {b"a" * 8, b"b" * 8, b"c" * 8}
    assert [found.name for found in tmp_path.iterdir()] == ["file"]
