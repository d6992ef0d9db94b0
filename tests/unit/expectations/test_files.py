"""Files that appear whole or not at all."""

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
