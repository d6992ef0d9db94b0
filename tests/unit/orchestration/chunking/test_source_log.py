"""Reading a log from a byte position, plain or packed."""

import gzip
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations.errors import SourceError
from orchestration.chunking import source_log
from orchestration.chunking.source_log import GzipLog, PlainLog, open_log, read_header, source_name

CONTENT = b"".join(f"line {n}\n".encode() for n in range(3000))


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("packed") / "log.csv.gz"
    path.write_bytes(gzip.compress(CONTENT[:10_000]) + gzip.compress(CONTENT[10_000:]))
    return path


@given(reads=st.lists(st.tuples(st.integers(0, len(CONTENT) + 50), st.integers(0, 20_000)), max_size=8))
@settings(deadline=None, max_examples=100)
def test_a_packed_log_reads_like_the_plain_one(packed: Path, reads: list[tuple[int, int]]):
    """Forwards, backwards, beyond the end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source_log, "_SKIP_BYTES", 777)
        log = open_log(packed)
        assert [log.read(offset, size) for offset, size in reads] == [CONTENT[o : o + size] for o, size in reads]


def test_a_plain_log_shows_what_was_appended(tmp_path: Path):
    path = tmp_path / "log.csv"
    path.write_bytes(b"one")
    log = open_log(path)
    assert (log.read(0, 9), log.read(3, 9), log.is_finished) == (b"one", b"", False)
    path.write_bytes(b"one two")
    assert log.read(3, 9) == b" two"


def test_a_packed_log_is_finished(packed: Path):
    assert open_log(packed).is_finished and isinstance(open_log(packed), GzipLog)


def test_a_packed_log_is_read_forwards_in_one_stream(packed: Path, monkeypatch: pytest.MonkeyPatch):
    """Going on costs no new start, wherever it stands."""
    opened = []
    original = gzip.GzipFile
    monkeypatch.setattr(gzip, "GzipFile", lambda **arguments: opened.append(arguments) or original(**arguments))
    log = open_log(packed)
    for offset in range(0, len(CONTENT), 1000):
        assert log.read(offset, 1500) == CONTENT[offset : offset + 1500]
    assert len(opened) == 1


PACKED = gzip.compress(CONTENT)


@pytest.mark.parametrize(
    "content",
    [PACKED[:-1], PACKED[: len(PACKED) // 2], PACKED[:-500] + b"\xff" * 500, b"no gzip", PACKED + b"x"],
    ids=["cut by a byte", "cut in half", "spoilt", "none", "with rubbish after it"],
)
def test_what_is_not_a_whole_gzip_file_is_one_clear_error(tmp_path: Path, content: bytes):
    path = tmp_path / "log.csv.gz"
    path.write_bytes(content)
    log = open_log(path)
    for _ in range(2):
        with pytest.raises(SourceError, match=r"not a whole gzip file.*log\.csv\.gz") as raised:
            for offset in range(0, 2 * len(CONTENT), 4096):
                log.read(offset, 4096)
        assert "\n" not in str(raised.value)


class Hiccup(io.BytesIO):
    """A stream of which one read fails, after it has moved on."""

    def __init__(self, content: bytes, failing_read: int):
        super().__init__(content)
        self._reads_left = failing_read

    def read(self, size: int = -1) -> bytes:
        found = super().read(size)
        self._reads_left -= 1
        if self._reads_left == 0:
            raise OSError("the network hiccups")
        return found


@pytest.mark.parametrize("failing_read", range(1, 12))
def test_after_a_hiccup_a_packed_log_stands_where_it_says(
    packed: Path, monkeypatch: pytest.MonkeyPatch, failing_read: int
):
    """The tick that tries again must not get bytes from elsewhere."""
    monkeypatch.setattr(source_log, "_SKIP_BYTES", 1000)
    first = [Hiccup(CONTENT, failing_read)]
    monkeypatch.setattr(gzip, "open", lambda path, mode: first.pop() if first else io.BytesIO(CONTENT))
    log = open_log(packed)
    for offset in (0, 5000, 9000, 100):
        try:
            found = log.read(offset, 500)
        except OSError:
            found = log.read(offset, 500)
        assert found == CONTENT[offset : offset + 500]


@pytest.mark.parametrize(
    ("content", "is_final", "header"),
    [
        (b"", False, b""),
        (b"", True, b""),
        (b"a,b", False, b""),
        (b"a,b", True, b"a,b"),
        (b"a,b\n1,2\n", False, b"a,b\n"),
        (b"a,b\r\n1,2", True, b"a,b\r\n"),
        (b"\n", False, b"\n"),
    ],
)
def test_the_header_is_the_first_whole_line(tmp_path: Path, content: bytes, is_final: bool, header: bytes):
    (tmp_path / "log.csv").write_bytes(content)
    assert read_header(PlainLog(tmp_path / "log.csv"), is_final) == header


def test_a_packed_log_is_complete_and_so_is_its_header(tmp_path: Path):
    (tmp_path / "log.csv.gz").write_bytes(gzip.compress(b"a,b"))
    assert read_header(open_log(tmp_path / "log.csv.gz")) == b"a,b"


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("company.csv", "company"),
        ("company.csv.gz", "company"),
        ("bs140513_032310.csv.gz", "bs140513_032310"),
        ("a b.2026.csv", "a-b-2026"),
        ("Zoë's log.csv", "Zo-s-log"),
        ("noending", "noending"),
        (".csv", "-csv"),
        ("日本.csv", "-"),
    ],
)
def test_what_a_log_is_called(file: str, name: str):
    assert source_name(Path("folder") / file) == name


@given(name=st.text(min_size=1).filter(lambda name: "/" not in name and "\0" not in name))
@settings(deadline=None, max_examples=50)
def test_a_name_is_safe_in_file_names(name: str):
    assert source_name(Path("folder") / name)
    assert all(c.isascii() and (c.isalnum() or c in "-_") for c in source_name(Path("folder") / name))
