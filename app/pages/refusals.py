"""Says in words which files the browser did not send, and what to do about them.

The server never hears of a file that is too large: the browser refuses it, marks it in the list of
files with a sign, and the mark goes as soon as the other files are taken. So the page looks for
such marks itself and keeps what they say, until files are chosen anew.
"""

from __future__ import annotations

import streamlit as st

from app.rendering import plain

__all__ = ["show_refusals"]

# Constant and ours. Names of files come from the page and go into it as text, never as markup.
_SCRIPT = """<script>
(function () {
  if (window.gircseRefusals) return;
  const refused = window.gircseRefusals = new Map();
  function look() {
    for (const chip of document.querySelectorAll('.stFileChip[aria-invalid="true"]')) {
      const name = chip.querySelector('.stFileChipName');
      const cause = chip.querySelector('[role="alert"]');
      if (name && cause) refused.set(name.title || name.textContent, cause.textContent);
    }
    const box = document.getElementById('gs-refused');
    if (!box || box.childElementCount === refused.size) return;
    box.replaceChildren(...[...refused].map(([name, cause]) => {
      const line = document.createElement('p');
      const title = document.createElement('strong');
      title.textContent = name;
      const isTooLarge = /smaller/.test(cause);
      line.append(title, ' was not added: ' + (isTooLarge ? box.dataset.tooLarge : cause));
      return line;
    }));
  }
  const forget = event => {
    if (event.type === 'drop' || event.target.type === 'file') refused.clear();
  };
  document.addEventListener('change', forget, true);
  document.addEventListener('drop', forget, true);
  new MutationObserver(look).observe(document.body,
    {childList: true, subtree: true, attributes: true, attributeFilter: ['aria-invalid']});
})()
</script>"""


def show_refusals(too_large: str) -> None:
    """Keep a place for what was refused.

    Args:
        too_large: why a file that is too large was not sent, and what to do.
    """
    st.html(
        f'<div id="gs-refused" class="gs-refused" role="alert" data-too-large="{plain(too_large)}">'
        f"</div>{_SCRIPT}",
        unsafe_allow_javascript=True,
    )
