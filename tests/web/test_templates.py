"""Rules for every template: what it may know, and what it must not contain."""

import re
from pathlib import Path

import jinja2
import pytest
from jinja2 import meta, nodes
from support import markup

from app import paths
from app.web.assets import Assets
from app.web.render import environment

FOLDER = paths.folder("templates")
TEMPLATES = sorted(FOLDER.rglob("*.html"))
names = [str(path.relative_to(FOLDER)) for path in TEMPLATES]


def env() -> jinja2.Environment:
    return environment(FOLDER, Assets(paths.folder("static")))


@pytest.mark.parametrize("path", TEMPLATES, ids=names)
def test_a_template_knows_its_view_and_its_frame_and_nothing_else(path: Path):
    tree = env().parse(path.read_text())
    # What the page itself sets or imports at its top is known in its blocks, which the search looks at one by one.
    own = {name.name for one in tree.find_all(nodes.Assign | nodes.AssignBlock) for name in one.find_all(nodes.Name)}
    own |= {one.target for one in tree.find_all(nodes.Import)}
    own |= {name if isinstance(name, str) else name[1] for one in tree.find_all(nodes.FromImport) for name in one.names}
    assert meta.find_undeclared_variables(tree) - own <= {"view", "frame", "ui", "asset", "range", "caller"}


@pytest.mark.parametrize("path", TEMPLATES, ids=names)
def test_no_template_switches_escaping_off_or_carries_style_or_script_of_its_own(path: Path):
    source = re.sub(r"\{#.*?#\}|\{%.*?%\}", "", path.read_text(), flags=re.DOTALL)
    assert not re.search(r"\|\s*safe\b|autoescape|Markup", source)
    assert not re.search(r"\sstyle\s*=|\son[a-z]+\s*=|<style|hx-on|javascript:", source)
    assert not re.search(r"<script(?![^>]*\ssrc=)", source)
    # In htmx 4 the attribute that keeps htmx away from an element is hx-ignore; a bare hx-disable does nothing.
    assert not re.search(r"hx-disable(?!=)", source)


@pytest.mark.parametrize("path", TEMPLATES, ids=names)
def test_every_template_compiles(path: Path):
    env().get_template(str(path.relative_to(FOLDER)))


def test_an_undefined_name_is_an_error_and_not_a_blank():
    with pytest.raises(jinja2.UndefinedError):
        env().from_string("{{ view.missing }}").render(view={})


def test_every_macro_says_what_it_gives():
    source = (FOLDER / "ui.html").read_text()
    for name in re.findall(r"\{% macro (\w+)\(", source):
        assert re.search(rf"\{{#[^#]*\b{name}\((?:[^#]|#(?!\}}))*#\}}\s*\{{% macro {name}\(", source), name


def test_hostile_text_stays_text_in_every_macro_that_takes_some():
    hostile = "<img src=x onerror=alert(1)>\" autofocus onfocus='x' {{ 7 * 7 }} \u202e"
    calls = [
        "ui.text(view)", "ui.entity('user', view, '/x')", "ui.entity(view, view)", "ui.ref('trace', view, '/x')",
        "ui.tag(view)", "ui.pick(view, '/x')", "ui.copy(view)", "ui.query('TraceQL', view)", "ui.callout(view, view)",
        "ui.empty(view, view)", "ui.toast(view)", "ui.field(view, 'n', view, hint=view, wrong=view)",
        "ui.field('a', 'n', view, type='textarea')", "ui.field('a', 'n', view, options=[(view, view)])",
        "ui.search(view, 'n', view)", "ui.crumbs([(view, '/x')])", "ui.severity(view)", "ui.state(view)",
        "ui.facts([(view, view)])", "ui.note_row(2, view)", "ui.legend([('line', view)])", "ui.hash(view)", "ui.seal(view)",
        "ui.effect(view)", "ui.button(view)", "ui.tabs([(view, '/x', true)], view)",
        "ui.segmented([(view, '/x', true)], view)", "ui.complete(1, 2, view)", "ui.progress(1, 2, view)",
        "ui.check(view, 'n')", "ui.chart({'data': [view], 'layout': {view: view}}, view)", "ui.strip([(1, 2)], view, view)",
        "ui.decision('deny', words=view)", "ui.table([(view, '')], view, view)",
    ]  # fmt: skip
    page = env()
    for call in calls:
        source = f"{{% call {call} %}}{{% endcall %}}" if call.startswith("ui.table") else f"{{{{ {call} }}}}"
        html = page.from_string(source).render(view=hostile)
        found = markup.elements(html)
        assert found, call
        assert not [one for one in found if one.tag in ("img", "script")], call
        for one in found:
            assert not {name for name in one.attributes if name.startswith("on") or name == "autofocus"}, (call, one)
        assert "49" not in html.replace("&#34;", "").replace("&#39;", ""), call
