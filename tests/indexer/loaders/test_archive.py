from __future__ import annotations

import io
import struct
import zipfile

import pytest

from indexer.errors import ExtractionError
from indexer.loaders import archive as loaders_archive
from indexer.loaders.archive import open_archive, read_member
from tests.indexer.loaders.samples import archive, one_of_each, read

SAMPLES = one_of_each()


@pytest.mark.parametrize("name", ["tides.docx", "tides.pptx", "tides.xlsx", "tides.epub"])
def test_a_bomb_is_refused_before_it_is_parsed(name):
    with zipfile.ZipFile(io.BytesIO(SAMPLES[name])) as file:
        members: dict[str, str | bytes] = {member: file.read(member) for member in file.namelist()}
    bomb = archive(members | {"media/zeros.xml": bytes(300 * 1024 * 1024)})
    assert len(bomb) < 1_000_000
    with pytest.raises(ExtractionError, match=r"unpack to 31[45],\d{3},\d{3} bytes") as caught:
        read(bomb, name)
    assert caught.value.code == "bomb"


def test_many_members_are_a_bomb(monkeypatch):
    monkeypatch.setattr(loaders_archive, "_MAX_MEMBERS", 5)
    with pytest.raises(ExtractionError, match="6 parts") as caught:
        open_archive(archive({f"{i}.txt": "x" for i in range(6)}), what="Word")
    assert caught.value.code == "bomb"


def test_a_false_declared_size_is_found_out():
    data = bytearray(archive({"a.xml": bytes(100_000)}))
    # the central directory's uncompressed size, 24 bytes into the entry
    position = data.rindex(b"PK\x01\x02") + 24
    assert struct.unpack_from("<L", data, position) == (100_000,)
    struct.pack_into("<L", data, position, 10)
    with pytest.raises(ExtractionError, match=r"a\.xml") as caught:
        open_archive(bytes(data), what="Word")
    assert caught.value.code == "damaged"


def test_large_media_that_hardly_shrink_are_no_bomb(monkeypatch):
    monkeypatch.setattr(loaders_archive, "_MAX_BYTES", 1000)
    import random

    noise = random.Random(0).randbytes(50_000)
    with open_archive(archive({"video.mp4": noise}), what="PowerPoint") as opened:
        assert read_member(opened, "video.mp4", what="PowerPoint") == noise


def test_a_missing_member_is_named():
    with (
        open_archive(archive({"a": "x"}), what="EPUB") as opened,
        pytest.raises(ExtractionError, match=r"'b\.opf' is not in it"),
    ):
        read_member(opened, "b.opf", what="EPUB")


def test_an_encrypted_member():
    data = bytearray(archive({"a.xml": "x"}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    with pytest.raises(ExtractionError, match="password") as caught:
        open_archive(bytes(data), what="Word")
    assert caught.value.code == "encrypted"
