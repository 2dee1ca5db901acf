"""Hostile text stays visible where there is no room for markup, and cannot blow up a page of many rows."""

from app.web.formats import flat, has_tricks, visible


def test_after_so_many_marks_the_codes_are_plain_text_and_nothing_is_lost():
    text = "a\u202eb\u202ec\u202ed<x>"
    assert visible(text, 100, 2).count('class="ctl"') == 2
    assert visible(text, 100, 2).endswith("c[U+202E]d&lt;x&gt;")


def test_flat_text_shows_its_tricks_as_codes_within_the_limit():
    assert flat("all\x1b[2Jwell\u202e") == "all[ESC][2Jwell[U+202E]"
    assert len(flat("\u202e" * 1000, 50)) == 50


def test_tricks_are_told_from_plain_letters_of_any_script():
    assert not has_tricks("façade déjà 東京 Ελλάδα")
    assert has_tricks("p\u0430yp\u0430l")
    assert has_tricks("admin\u200b")
