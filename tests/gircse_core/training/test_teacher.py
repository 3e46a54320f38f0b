from __future__ import annotations

import math

import pytest
import torch

from gircse_core.training.teacher import LexicalTeacher, TokenStatistics, hybrid_scores

TEXTS = [[1, 7, 8, 8, 2], [1, 7, 9, 2], [1, 9, 9, 9, 5, 6, 2]]
STATISTICS = TokenStatistics.count(TEXTS, vocabulary_size=12, ignored=frozenset({1, 2}))


def test_statistics():
    assert STATISTICS.frequencies.tolist() == [0, 0, 0, 0, 0, 1, 1, 2, 1, 2, 0, 0]
    assert (STATISTICS.documents, STATISTICS.mean_length) == (3, 10 / 3)


def test_bm25_is_what_the_formula_says():
    scores = LexicalTeacher(STATISTICS).scores([[1, 8, 9, 9, 2], [1, 2]], TEXTS)
    for row, text in enumerate(TEXTS):
        length = sum(token not in (1, 2) for token in text)
        expected = 0.0
        for term, found in ((8, 1), (9, 2)):
            count = text.count(term)
            rarity = math.log(1 + (3 - found + 0.5) / (found + 0.5))
            norm = 0.9 * (1 - 0.4 + 0.4 * length / (10 / 3))
            expected += rarity * count * 1.9 / (count + norm)
        assert scores[0, row].item() == pytest.approx(expected, rel=1e-5)
    assert scores[1].tolist() == [0, 0, 0]


def test_the_mix_divides_each_part_by_the_best_of_its_query():
    cosines = torch.tensor([[0.8, 0.4], [0.2, 0.1]])
    lexical = torch.tensor([[2.0, 4.0], [0.0, 0.0]])
    mixed = hybrid_scores(cosines, lexical, dense_weight=0.75)
    expected = torch.tensor([[0.75 + 0.125, 0.375 + 0.25], [0.75, 0.375]])
    torch.testing.assert_close(mixed, expected)
