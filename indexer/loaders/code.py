"""Reads source code as it is, with a section for each top-level definition.

Definitions are found by the words that open them at the left margin, in any of the common
languages: a parser for each would know more and break more often.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePath

from indexer.documents import Document
from indexer.loaders.builder import DocumentBuilder
from indexer.loaders.encoding import decode

__all__ = ["language_of", "load"]

_LANGUAGES = {
    "py": "Python", "pyi": "Python", "pyx": "Cython", "js": "JavaScript", "mjs": "JavaScript",
    "cjs": "JavaScript", "jsx": "JavaScript", "ts": "TypeScript", "tsx": "TypeScript",
    "mts": "TypeScript", "cts": "TypeScript", "java": "Java", "kt": "Kotlin", "kts": "Kotlin",
    "scala": "Scala", "groovy": "Groovy", "c": "C", "h": "C", "cc": "C++", "cpp": "C++",
    "cxx": "C++", "hh": "C++", "hpp": "C++", "hxx": "C++", "m": "Objective-C", "cs": "C#",
    "fs": "F#", "vb": "Visual Basic", "bas": "Visual Basic", "go": "Go", "rs": "Rust",
    "swift": "Swift", "rb": "Ruby", "php": "PHP", "pl": "Perl", "pm": "Perl", "lua": "Lua",
    "r": "R", "jl": "Julia", "dart": "Dart", "ex": "Elixir", "exs": "Elixir", "erl": "Erlang",
    "hs": "Haskell", "clj": "Clojure", "elm": "Elm", "ml": "OCaml", "nim": "Nim", "zig": "Zig",
    "f90": "Fortran", "pas": "Pascal", "sh": "shell", "bash": "shell", "zsh": "shell",
    "ps1": "PowerShell", "psm1": "PowerShell", "bat": "batch", "cmd": "batch", "sql": "SQL",
    "proto": "Protocol Buffers", "graphql": "GraphQL", "tf": "Terraform", "nix": "Nix",
    "cmake": "CMake", "mk": "Make", "yaml": "YAML", "yml": "YAML", "toml": "TOML", "ini": "INI",
    "css": "CSS", "scss": "SCSS", "less": "Less", "vue": "Vue", "svelte": "Svelte", "xml": "XML",
    "cu": "CUDA", "sol": "Solidity", "tcl": "Tcl", "el": "Emacs Lisp", "lisp": "Lisp",
    "rkt": "Racket", "al": "AL",
}  # fmt: skip
_DEFINITION = re.compile(
    r"(?:(?:export|default|declare|public|private|protected|internal|static|final|abstract|sealed|"
    r"async|unsafe|extern|pub(?:\([^)]*\))?|const|inline|virtual|open|data|partial|local|override|"
    r"create|or|replace)\s+)*"
    r"(?P<what>class|def|defmodule|function|func|fun|fn|struct|interface|trait|enum|impl|module|"
    r"namespace|record|protocol|extension|object|type|sub|procedure|package|table|view|message|"
    r"service|codeunit|page|macro_rules!)\s+(?P<name>[\w.:<>*&$\"'-]+)",
    re.I,
)
# above a definition and part of it: decorators, attributes and comments
_PREAMBLE = re.compile(r"[@#/*;]|--|\"\"\"|\[")


def load(data: bytes, *, source: str, name: str) -> Document:
    """Read a source file.

    Raises:
        ExtractionError: ``binary`` when it is no text.
    """
    builder = DocumentBuilder(source=source, name=name, media_type="code")
    for heading, text in _split_definitions(decode(data).split("\n")):
        builder.section((heading,) if heading else ())
        builder.block(text)
    return builder.build(metadata={"language": language_of(name)})


def language_of(name: str) -> str:
    """Return the language of a source file for people, by its name; the suffix if unknown."""
    suffix = PurePath(name).suffix.lower().removeprefix(".")
    return _LANGUAGES.get(suffix, suffix)


def _split_definitions(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Yield ``(heading, text)`` pieces whose texts are all of the lines in order."""
    start, heading = 0, ""
    for number, line in enumerate(lines):
        match = _DEFINITION.match(line)
        if match is None:
            continue
        begin = number
        while begin > start and _PREAMBLE.match(lines[begin - 1]):
            begin -= 1
        yield heading, "\n".join(lines[start:begin])
        start, heading = begin, f"{match['what']} {match['name']}".rstrip(":")
    yield heading, "\n".join(lines[start:])
