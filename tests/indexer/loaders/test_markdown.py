from __future__ import annotations

import pytest

from tests.indexer.loaders.samples import read, sections


def md(text: str):
    return read(text.encode(), "a.md")


def test_headings_and_clean_text():
    document = md(
        "# Harbour\n\nSee the [tide *table*](http://example.org/a?b=c) and `high_water`.\n\n"
        '## Boats\n\nSoft\nbreak, hard  \nbreak, ![a trawler](boat.png "x").\n\n'
        "### Engines\n\nSetext\n------\n\n~~gone~~ &amp; \\*kept\\*\n"
    )
    assert document.title == "Harbour"
    assert sections(document) == [
        ((), None, "Harbour\n\nSee the tide table and high_water."),
        (("Boats",), None, "Boats\n\nSoft break, hard\nbreak, a trawler."),
        (("Boats", "Engines"), None, "Engines"),
        (("Setext",), None, "Setext\n\ngone & *kept*"),
    ]


def test_code_lists_tables_and_quotes():
    document = md(
        "```python\ndef f():\n    return 1\n```\n\n"
        "- one\n- two\n  1. nested\n  2. list\n\n     more of it\n- three\n\n"
        "| Day | High |\n|---|---:|\n| Monday | **4.2** |\n\n> quoted\n> text\n"
    )
    assert document.text == (
        "def f():\n    return 1\n\n"
        "- one\n- two\n  1. nested\n  2. list\n     more of it\n- three\n\n"
        "Day | High\nMonday | 4.2\n\n"
        "quoted text"
    )


def test_yaml_front_matter_gives_title_and_metadata():
    document = md(
        "---\ntitle: Tides\nsummary: When to sail.\ntags: [sea, moon]\ndate: 2026-03-02\n"
        "nested: {a: 1}\n# a comment\n---\n# Tides\n\nText.\n"
    )
    assert document.title == "Tides"
    assert document.metadata == {
        "summary": "When to sail.",
        "tags": "sea, moon",
        "date": "2026-03-02",
    }
    assert sections(document) == [((), None, "When to sail."), ((), None, "Tides\n\nText.")]


def test_toml_front_matter():
    document = md('+++\ntitle = "Tides"\ndraft = true\n+++\nText.\n')
    assert (document.title, document.text) == ("Tides", "Text.")
    assert document.metadata == {"draft": "True"}


def test_what_is_no_front_matter_stays_text():
    document = md("---\n: [broken\n---\nText.\n")
    assert "[broken" in document.text
    assert "Text." in document.text


def test_exponential_yaml_is_not_expanded():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    document = md("---\ntitle: Bomb\n" + "\n".join(lines) + "\n---\nText.\n")
    assert document.title == "Bomb"
    assert sum(map(len, document.metadata.values())) < 1000


def test_python_objects_in_yaml_are_refused():
    document = md("---\ntitle: !!python/object/apply:os.getcwd []\n---\nText.\n")
    assert "python/object" in document.text


def test_entities_in_front_matter():
    assert md("---\ntitle: NOAA&#8217;s &amp; ours\n---\nText.\n").title == "NOAA\u2019s & ours"


def test_a_page_of_front_matter_alone_is_found_by_its_title():
    assert md("---\ntitle: Tides\nweight: 1\n---\n").text == "Tides"


def test_html_inside_is_text_without_tags_and_scripts():
    document = md(
        'Line<br>break and <b>bold</b> <script>alert("x")</script>\n\n'
        "<div><h2>Boats</h2><p>In <em>port</em>.</p><script>steal()</script>"
        "<style>p{}</style></div>\n\nAfter <!-- hidden --> it.\n"
    )
    assert "steal" not in document.text
    assert "hidden" not in document.text
    assert "Line\nbreak and bold" in document.text
    assert sections(document)[1] == (("Boats",), None, "Boats\n\nIn port.\n\nAfter it.")


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("> [!NOTE]\n> Mind the step.", "Note: Mind the step."),
        ("In [!INCLUDE [prod](x/prod.md)] you can.", "In prod you can."),
        ("Before.\n\n[!INCLUDE[footer](x/footer.md)]", "Before."),
        (':::image type="content" source="a.png" alt-text="A quay.":::', "A quay."),
        ('{{< img src="a.png" alt="A quay" caption="At dawn" >}}', "A quay. At dawn"),
        ('[tides]({{< ref "/a/b.md" >}}) table', "tides table"),
        ('[tides]({{< ref "/a/b.md" >}} "the tides") table', "tides table"),
        ("# Tides {#toc2 .wide}", "Tides"),
        ("{{% note %}}\nMind.\n{{% /note %}}", "Mind."),
    ],
)
def test_markup_of_site_generators_is_reduced_to_its_words(markup, text):
    assert md(markup).text == text


def test_deep_nesting_is_kept():
    document = md("\n".join("> " * depth + f"level {depth}\n" for depth in range(1, 60)))
    assert "level 59" in document.text
