from __future__ import annotations

from email.message import EmailMessage

import pytest

from tests.indexer.loaders.samples import message, read, sections


class TestCode:
    def test_python_definitions_are_sections_and_text_is_verbatim(self):
        source = (
            '"""Tides."""\n\nimport os\n\n\n@cache\ndef high(day):\n\treturn day\n\n\n'
            "# boats\nclass Boat:\n    def sail(self):\n        pass\n"
        )
        document = read(source.encode(), "tides.py")
        assert document.metadata == {"language": "Python"}
        assert document.title == "tides.py"
        assert sections(document) == [
            ((), None, '"""Tides."""\n\nimport os'),
            (("def high",), None, "@cache\ndef high(day):\n\treturn day"),
            (("class Boat",), None, "# boats\nclass Boat:\n    def sail(self):\n        pass"),
        ]

    @pytest.mark.parametrize(
        ("name", "line", "heading"),
        [
            ("a.rs", "pub(crate) async fn sail(x: u8) {", "fn sail"),
            ("a.ts", "export default class Boat<T> {", "class Boat<T>"),
            ("a.go", "func sail() {", "func sail"),
            ("a.java", "public final class Boat {", "class Boat"),
            ("a.sql", "CREATE OR REPLACE VIEW boats AS", "VIEW boats"),
            ("a.rb", "module Harbour", "module Harbour"),
        ],
    )
    def test_definitions_of_other_languages(self, name, line, heading):
        assert sections(read(f"{line}\n  body\n".encode(), name))[0][0] == (heading,)

    def test_no_line_is_lost(self):
        source = "".join(f"def f{i}():\n    return {i}\n\n# after {i}\n" for i in range(50))
        text = read(source.encode(), "a.py").text
        assert [line for line in text.split("\n") if line] == [
            line for line in source.split("\n") if line
        ]


class TestEmail:
    def test_headers_text_and_attachment_names(self):
        mail = message("Tides this week", "High at eight.\n\nBring ropes.\n", "<p>ignored</p>")
        mail.add_attachment(
            b"\x00\x01", maintype="application", subtype="pdf", filename="tides.pdf"
        )
        document = read(bytes(mail), "a.eml")
        assert document.title == "Tides this week"
        assert document.metadata["from"] == "Harbour Office <office@example.org>"
        assert document.text == (
            "Subject: Tides this week\nFrom: Harbour Office <office@example.org>\n"
            "To: crew@example.org\nDate: Mon, 02 Mar 2026 08:30:00 +0000\n\n"
            "High at eight.\n\nBring ropes.\n\nAttachment: tides.pdf"
        )

    def test_html_where_there_is_no_plain_text(self):
        mail = message("Tides", None, "<h1>Now</h1><p>High<script>x()</script> water</p>")
        document = read(bytes(mail), "a.eml")
        assert document.text.endswith("Now\n\nHigh water")

    def test_text_around_a_picture_and_before_the_footer_of_a_list_is_read(self):
        mail = EmailMessage()
        mail["Subject"] = "Tides"
        mail.set_content("<p>High at eight.</p>", subtype="html")
        mail.make_mixed()
        mail.add_attachment(b"\x89", maintype="image", subtype="png", filename="tides.png")
        for text, disposition in (("Bring ropes.", "inline"), ("Secret.", "attachment")):
            part = EmailMessage()
            part.set_content(text, disposition=disposition)
            mail.attach(part)
        mail.attach(message("A list", "Leave this list.", "<p>ignored</p>"))
        assert read(bytes(mail), "a.eml").text == (
            "Subject: Tides\n\nHigh at eight.\n\nBring ropes.\n\nLeave this list.\n\n"
            "Attachment: tides.png\nAttachment: text/plain"
        )

    def test_encoded_words_and_charsets(self):
        mail = EmailMessage()
        mail["Subject"] = "Größe der Boote"
        mail.set_content("Übermaß", charset="iso-8859-1")
        document = read(bytes(mail), "a.eml")
        assert document.title == "Größe der Boote"
        assert document.text.endswith("Übermaß")

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"no headers at all",
            b"Subject: =?utf-8?q?broken\n\nbody",
            b"From: \xff\xfe <x>\nTo: ,,;:\nDate: never\nSubject: s\n\nbody",
            b"Content-Type: multipart/mixed; boundary=x\nSubject: s\n\n--x\nunclosed",
            b"Content-Type: text/plain; charset=no-such\nSubject: s\n\nbody",
            b"Content-Type: multipart/mixed; boundary=x\nSubject: s\n\nbody without parts",
            b"Content-Transfer-Encoding: base64\nSubject: s\n\n!!!",
        ],
    )
    def test_malformed_messages_are_read_as_far_as_possible(self, data):
        document = read(data, "a.eml")
        if b"body" in data:
            assert "body" in document.text
