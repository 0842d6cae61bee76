"""Drawing graphs: as text, as SVG, as a page."""

from __future__ import annotations

import asyncio
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afnio import Variable
from afnio._home import home
from afnio.autodiff.basic_ops import Sum
from afnio.autodiff.drawing import draw, draw_html, draw_svg
from afnio.autodiff.evaluator import ExactMatchEvaluator
from afnio.autodiff.lm_ops import ChatCompletion
from afnio.models.testing import ScriptedModel

SVG = "{http://www.w3.org/2000/svg}"


def test_tree():
    """Leaves show their role; a shared node is drawn once and referred to."""
    x = Variable("a", "greeting", requires_grad=True)
    y = x.upper()
    assert draw(y + y.lower()).splitlines() == [
        "AddBackward0",
        "|- UpperBackward0",
        "|  `- AccumulateGrad: greeting",
        "`- LowerBackward0",
        "   `- UpperBackward0 (see line 2)",
    ]


def test_long_graphs_are_cut():
    """No more lines than asked for, and it says so."""
    x = y = Variable("a", "x", requires_grad=True)
    for _ in range(50):
        y = y + x
    lines = draw(y, max_lines=10).splitlines()
    assert len(lines) == 11
    assert "not drawn" in lines[-1]


def test_untracked():
    """There is no graph behind a Variable that does not require grad."""
    with pytest.raises(RuntimeError):
        draw(Variable("a"))


def page_of(variable, **options):
    """Return a page, parsed; well-formed SVG is part of what is proved."""
    text = draw_html(variable, **options)
    svg = text[text.index("<svg") : text.index("</svg>") + len("</svg>")]
    return text, ET.fromstring(svg)


def labels(svg):
    """Return the words in the boxes."""
    return [element.text for element in svg.iter(f"{SVG}text")]


def test_svg_has_a_box_per_node_and_a_line_per_edge():
    """A diamond: four nodes, five edges, and the leaf's role."""
    x = Variable("a", "greeting", requires_grad=True)
    y = x.upper()
    svg = ET.fromstring(draw_svg(y + y.lower()))
    assert sorted(labels(svg)) == [
        "AccumulateGrad", "Add", "Lower", "Upper", "greeting",
    ]  # fmt: skip
    assert len(svg.findall(f"{SVG}g")) == 4
    lines = svg.findall(f"{SVG}path")
    assert sum("marker-end" in line.attrib for line in lines) == 4


def test_page_shows_what_leaves_hold():
    """Value and feedback of each leaf stand below the drawing, and nodes link there."""
    x = Variable("hello", "greeting", requires_grad=True)
    y = x.upper()
    y.backward(Variable("too loud"), retain_graph=True)
    text, svg = page_of(y)
    assert "<pre>hello</pre>" in text
    assert "too loud" in text
    links = {element.attrib["href"] for element in svg.iter(f"{SVG}a")}
    assert links == {"#node-1"}
    assert 'id="node-1"' in text
    assert "<script" not in text
    assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")


def test_page_shows_what_a_model_was_sent():
    """Messages and reply of a call, until a backward has freed them."""
    system = Variable("Be kind.", "system prompt", requires_grad=True)
    messages = [{"role": "user", "content": [system]}]
    reply = ChatCompletion.apply(ScriptedModel("Hello there."), messages)
    score, explanation = ExactMatchEvaluator.apply(reply, "Hello there.")
    assert score.data == 1
    text, svg = page_of(explanation)
    assert "Hello there." in text
    assert "response to system prompt" in text
    kinds = {group.attrib["class"] for group in svg.iter(f"{SVG}g")}
    assert kinds == {"leaf", "model", "evaluator"}
    explanation.backward()
    assert "Hello there." not in draw_html(explanation)


@given(st.text(), st.text())
def test_any_text_is_escaped(data, role):
    """Whatever a program holds, the picture stays well formed."""
    x = Variable(data, role, requires_grad=True)
    text, _ = page_of(x.upper())
    ET.fromstring(draw_svg(x.upper()))
    assert text.count("<pre") == 1


def test_hostile_text():
    """Markup in data and roles is shown, not obeyed."""
    evil = "</pre></svg><script>alert(1)</script>\x00\ud800"
    x = Variable(evil, f'"{evil}', requires_grad=True)
    x.append_grad(Variable(evil))
    text, _ = page_of(x.lower())
    assert "<script" not in text
    assert text.count("</svg>") == 1
    text.encode("utf-8")


def test_large_graphs_are_cut_and_say_so():
    """The nodes nearest to the result are drawn, and the rest is counted."""
    x = y = Variable("a", "x", requires_grad=True)
    for _ in range(150):
        y = y.upper()
    text, svg = page_of(y + x, max_nodes=100)
    assert len(list(svg.iter(f"{SVG}g"))) == 100
    assert "100 of 152 nodes" in text
    assert "52 are left out" in text
    assert "All 152 nodes" in draw_svg(y + x)


def test_boxes_do_not_overlap():
    """100 nodes, deep and wide, each at a place of its own inside the picture."""
    x = Variable("a", "x", requires_grad=True)
    rows = [(x + str(i)).upper() for i in range(33)]
    for root in (Sum.apply(rows), Sum.apply([Sum.apply(rows), rows[0].lower()])):
        svg = ET.fromstring(draw_svg(root))
        boxes = [
            [float(rect.attrib[key]) for key in ("x", "y", "width", "height")]
            for rect in svg.iter(f"{SVG}rect")
        ]
        for i, (x1, y1, w, h) in enumerate(boxes):
            assert x1 >= 0
            assert y1 >= 0
            assert x1 + w <= float(svg.attrib["width"])
            assert y1 + h <= float(svg.attrib["height"])
            for x2, y2, _, _ in boxes[:i]:
                assert abs(x1 - x2) >= w or abs(y1 - y2) >= h


def test_pending_and_failed_values():
    """Drawing does not wait: it says what is pending, and what failed."""
    gate = asyncio.Event()

    async def late(messages, **_):
        await gate.wait()
        raise KeyError("boom")

    x = Variable("a", "x", requires_grad=True)
    reply = ChatCompletion.apply(
        ScriptedModel(late), [{"role": "user", "content": [x]}]
    )
    end = reply.detach().requires_grad_()
    assert "(pending)" in draw_svg(reply)
    assert "(pending)" in draw_html(end.upper())
    home().loop.call_soon_threadsafe(gate.set)
    with pytest.raises(KeyError):
        reply.data
    assert "(failed)" in draw_svg(reply)
    assert "(failed)" in draw_html(end.upper())


def test_refused():
    """There must be a graph, and something to draw."""
    with pytest.raises(RuntimeError):
        draw_html(Variable("a"))
    with pytest.raises(ValueError, match="max_nodes"):
        draw_svg(Variable("a", requires_grad=True), max_nodes=0)
    with pytest.raises(ValueError, match="max_nodes"):
        draw_svg(Variable("a", requires_grad=True), max_nodes="3")
    with pytest.raises(TypeError, match="got str"):
        draw("a")
