"""What ``gircse train --on-corpus`` gains: nDCG@10 before and after, on judged sets.

    python -m tests.bench.adaptation SET... --work DIR [--updates N] [--steps 5] [-- OPTIONS]

For each set in the BEIR layout its documents alone are written as files and indexed; the model is
fitted to that collection, or with --updates trained on it, never seeing a query or a judgement;
then ``gircse eval`` measures the model it started from and the one it became. What is finished in
DIR is not done again, so a run that was stopped goes on where it was. OPTIONS go to
``gircse train``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path


def gircse(*arguments: object) -> str:
    """Run the command; return its stdout, and let its progress be seen."""
    command = [sys.executable, "-m", "indexer.cli", *map(str, arguments)]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout


def write_documents(corpus: Path, folder: Path) -> None:
    """Write each document as a Markdown file, its title as the only heading."""
    folder.mkdir(parents=True, exist_ok=True)
    with corpus.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            document = json.loads(line)
            title, text = document.get("title") or "", document.get("text") or ""
            content = f"# {title}\n\n{text}\n" if title else f"{text}\n"
            if content.strip():
                (folder / f"{number:06d}.md").write_text(content, encoding="utf-8")


def adapt(judged: Path, work: Path, *, model: str, updates: int | None, options: list[str]) -> Path:
    """Index a set's documents and adapt the model to them; return the new model's folder."""
    name, home = judged.resolve().name, work / "home"
    out = work / "models" / name
    if (out / "gircse.json").is_file():
        return out
    documents = work / "documents" / name
    if not documents.is_dir():
        write_documents(judged / "corpus.jsonl", documents)
    at = ("--home", home)
    # The vectors serve to find hard negatives only: the fewest steps are enough.
    fewest = json.loads(gircse("model", "info", model, "--format", "json"))["min_steps"]
    gircse(*at, "index", documents, "-c", name, "--model", model, "--steps", fewest)
    out.parent.mkdir(parents=True, exist_ok=True)
    by_pairs = () if updates is None else ("--updates", updates, "--resume")
    gircse(*at, "train", "--on-corpus", name, "--out", out, *by_pairs, *options)
    return out


def ndcg(judged: Path, model: str | Path, step: int) -> float:
    """Return nDCG@10 of dense search at a step count, in points."""
    told = gircse(
        "eval", judged, "--model", model, "--steps", step, "--mode", "dense", "--format", "json"
    )
    (measured,) = json.loads(told)["sets"]
    (run,) = (run for run in measured["runs"] if run["method"] == "dense" and run["steps"] == step)
    return 100 * float(run["figures"]["ndcg@10"]["mean"])


def main() -> None:
    """Print one line per set and the average."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="+", type=Path, metavar="SET")
    parser.add_argument("--work", type=Path, required=True, metavar="DIR")
    parser.add_argument("--model", default="gircse-minilm")
    parser.add_argument("--updates", type=int, help="train on pairs instead of fitting")
    parser.add_argument("--steps", type=int, default=5)
    own, options = sys.argv[1:], []
    if "--" in own:
        own, options = own[: own.index("--")], own[own.index("--") + 1 :]
    given = parser.parse_args(own)
    given.work.mkdir(parents=True, exist_ok=True)
    fewest, most = (
        json.loads(gircse("model", "info", given.model, "--format", "json"))[name]
        for name in ("min_steps", "max_steps")
    )
    before_steps = min(max(given.steps, fewest), most)  # a base without refinement has only 0
    gains = []
    for judged in given.sets:
        adapted = adapt(
            judged,
            given.work,
            model=given.model,
            updates=given.updates,
            options=options,
        )
        before = ndcg(judged, given.model, before_steps)
        after = ndcg(judged, adapted, given.steps)
        gains.append(after - before)
        name = judged.resolve().name
        print(f"{name:<20} {before:6.2f} -> {after:6.2f}  {after - before:+.2f}", flush=True)
    print(f"{'average':<20} {'':>16}  {sum(gains) / len(gains):+.2f}")


if __name__ == "__main__":
    main()
