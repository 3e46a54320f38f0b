"""Do soft tokens say something readable about the text that they refine?

    python -m tests.bench.soft_tokens BEIR_FOLDER... [--model MODEL] [--steps 5] [--texts 200]

For each query and each relevant document: how many of the 20 words nearest to its soft tokens occur
in the query, or in the document, against the same for a document drawn from another query. Words of
fewer than three letters do not count. Word pieces are compared as they are.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

from gircse_core import GircseEmbedder
from indexer.evaluation.beir import BeirSet, load_beir
from indexer.searching.soft_words import NEAREST, content_words, share_in


def said(embedder: GircseEmbedder, text: str, steps: int) -> list[list[str]]:
    """Return the words nearest to each of the soft tokens."""
    return [
        [word for word, _ in step.words]
        for step in embedder.refine(text, steps, words=NEAREST)
        if step.words
    ]


def measure(embedder: GircseEmbedder, judged: BeirSet, *, steps: int, texts: int) -> None:
    """Print the shares of one set, by step, and one example."""
    documents = {document.id: document.full_text for document in judged.documents}
    relevant = {
        query: next(
            (d for d, grade in judged.qrels[query].items() if grade > 0 and d in documents), None
        )
        for query in judged.queries
    }
    queries = sorted(query for query, document in relevant.items() if document is not None)
    random.Random(0).shuffle(queries)
    queries = queries[:texts]
    sums = [[0.0] * 3 for _ in range(steps)]
    example: list[list[str]] = []
    for position, query in enumerate(queries):
        spoken = said(embedder, judged.queries[query], steps)
        other = queries[(position + 1) % len(queries)]
        compared = [
            content_words(judged.queries[query]),
            content_words(documents[relevant[query] or ""]),
            content_words(documents[relevant[other] or ""]),
        ]
        for step, words in enumerate(spoken):
            for column, text in enumerate(compared):
                sums[step][column] += share_in(words, text)
        if not example:
            example = spoken
            print(f"\n{judged.name}: {judged.queries[query][:90]!r}")
    for step, (words, row) in enumerate(zip(example, sums, strict=True), start=1):
        shares = "  ".join(f"{100 * value / len(queries):5.1f} %" for value in row)
        nearest = " ".join(word.strip() for word in words[:6])
        print(f"  step {step}  in query, relevant, other document: {shares}   {nearest}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--model", default="gircse-minilm")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--texts", type=int, default=200)
    options = parser.parse_args()
    embedder = GircseEmbedder(options.model)
    for folder in options.folders:
        measure(embedder, load_beir(folder), steps=options.steps, texts=options.texts)


if __name__ == "__main__":
    main()
