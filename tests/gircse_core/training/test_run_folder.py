from __future__ import annotations

from gircse_core.training.progress import TrainingProgress
from gircse_core.training.run_folder import RunFolder


def _update(number, source):
    return TrainingProgress(
        update=number,
        updates=9,
        source=source,
        step_losses={1: 0.5},
        loss=0.5,
        terms={},
        learning_rate=1e-3,
        gradient_norm=1.0,
        examples=8 * number,
        examples_per_second=1.0,
        seconds=1.0,
        seconds_left=1.0,
    )


def test_names_of_sources_cut_no_line_of_the_history(tmp_path):
    folder = RunFolder(tmp_path)
    folder.state.mkdir()
    assert folder.history() == []
    names = ["a\u2028b", "a\u0085b", "a\r\x0b\x1cb", "plain"]
    for number, name in enumerate(names, start=1):
        folder.append(_update(number, name))
    assert [line["source"] for line in folder.history()] == names
    folder.rewind(3)
    assert [line["source"] for line in folder.history()] == names[:3]


def test_a_line_that_a_kill_cut_short_is_left_out(tmp_path):
    folder = RunFolder(tmp_path)
    folder.state.mkdir()
    folder.append(_update(1, "first"))
    whole = folder.history_file.read_bytes()
    folder.append(_update(2, "Übung"))
    content = folder.history_file.read_bytes()
    for end in (len(whole) + 1, content.index("Ü".encode()) + 1, len(content) - 2):
        folder.history_file.write_bytes(content[:end])
        assert [line["update"] for line in folder.history()] == [1]
