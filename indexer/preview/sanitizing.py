"""Makes HTML harmless: what is left is text, its structure, and links that are followed by hand.

Nothing of it acts, fetches, is styled by its author or can pass for a part of the app.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import nh3

__all__ = ["FOUND_ID", "IN_PASSAGE", "PICTURE", "sanitize"]

FOUND_ID = "gs-found"
"""Id of the first element of the passage, to which the reader scrolls."""

IN_PASSAGE = "gs-in"
"""Class of every part of the passage."""

PICTURE = "gs-picture"
"""Class of the text that stands for a picture."""

_OURS = {"id": {FOUND_ID}, "class": {IN_PASSAGE, PICTURE}}
_TAG_NAMES = """
    a abbr address article aside b bdi bdo blockquote br caption cite code col colgroup dd del
    details dfn div dl dt em figcaption figure footer h1 h2 h3 h4 h5 h6 header hgroup hr i img ins
    kbd li main mark ol p pre q rp rt ruby s samp section small span strong sub summary sup table
    tbody td tfoot th thead time tr u ul var wbr
"""
_DROPPED_TAG_NAMES = """
    applet audio base button canvas datalist dialog embed frame frameset iframe input link map math
    meta nav noembed noframes noscript object select script style svg template textarea title video
"""
_TAGS = frozenset(_TAG_NAMES.split())
_DROPPED_WITH_CONTENT = frozenset(_DROPPED_TAG_NAMES.split())
_ATTRIBUTES = {
    "a": {"href", "title"},
    "img": {"alt"},
    "li": {"value"},
    "ol": {"start", "type"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan", "scope"},
    "span": {"id", "class"},
    "*": {"dir", "lang"},
}
_MAX_SPAN = 1000
_SCHEMES = {"http", "https", "mailto"}


def sanitize(html: str, *, keeps_marks: bool = False) -> str:
    """Return HTML without anything that acts, fetches or disguises.

    Args:
        html: a stranger's.
        keeps_marks: leave our own ids and classes in place; a stranger's are removed before.
    """

    def attribute(tag: str, name: str, value: str) -> str | None:
        if name in _OURS:
            return value if keeps_marks and value in _OURS[name] else None
        if name == "href":
            return value if _is_elsewhere(value) else None
        if name in {"colspan", "rowspan", "start", "value"}:
            is_sane = value.strip().lstrip("-").isdecimal() and abs(int(value)) <= _MAX_SPAN**2
            return value if is_sane else None
        return value

    return nh3.clean(
        html,
        tags=set(_TAGS),
        clean_content_tags=set(_DROPPED_WITH_CONTENT),
        attributes={tag: set(names) for tag, names in _ATTRIBUTES.items()},
        attribute_filter=attribute,
        strip_comments=True,
        url_schemes=set(_SCHEMES),
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )


def _is_elsewhere(address: str) -> bool:
    """Say whether a link leads out of the app; others would lead to pages of the app itself."""
    try:
        parts = urlsplit(address.strip())
    except ValueError:
        return False
    return parts.scheme.lower() in _SCHEMES and bool(parts.netloc or parts.scheme == "mailto")
