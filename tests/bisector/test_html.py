"""The HTML report: what is in it, that nothing in it is interpreted, and what it costs to open."""

from __future__ import annotations

import base64
import hashlib
import html as entities
import json
import random
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import answers
import hostile
import pytest
from answers import CONTEXT

from bisector.census import take_census
from bisector.evidence import Evidence, measured
from bisector.observations import RunObserved, RunRequest
from bisector.reporting.html.branches import BRANCHES, grow
from bisector.reporting.html.document import html
from bisector.reporting.html.figures import shown
from bisector.summary import summarize
from bisector.wording import visible

VOID = {"meta", "link", "input", "br", "img"}


class Page(HTMLParser):
    """The page as a browser sees it: elements, the text of each, rows of tables, scripts."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.attributes, self.pieces, self.scripts, self.rows = [], [], [], [], []
        self.feed(text)
        assert self.open == [], "every element is closed"

    def handle_starttag(self, tag, attrs):
        self.attributes.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append((dict(attrs), ""))
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            attributes, text = self.scripts[-1]
            self.scripts[-1] = attributes, text + data
        elif "style" not in self.open:
            self.pieces.append((self.open[-1] if self.open else "", data))
            if {"th", "td"} & set(self.open):
                self.rows[-1][-1] += data

    def texts(self, tag):
        return [data for element, data in self.pieces if element == tag]

    @property
    def text(self):
        return " ".join("".join(data for _, data in self.pieces).split())

    @property
    def cells(self):
        return [[cell.strip() for cell in row] for row in self.rows]

    @property
    def tags(self):
        return {tag for tag, _ in self.attributes}

    @property
    def figures(self):
        (data,) = (text for attributes, text in self.scripts if attributes.get("id") == "figures")
        return json.loads(data)

    @property
    def ids(self):
        return [attributes["id"] for _, attributes in self.attributes if "id" in attributes]


def page(answer, context=CONTEXT, **more):
    summary = summarize(answer, context)
    return Page(html(Evidence(summary, take_census(answer), **more)))


def of(name):
    return page(answers.ALL[name])


@pytest.mark.parametrize("name", answers.ALL)
def test_every_answer_has_a_page_with_headline_next_steps_and_environment(name):
    shown_page = of(name)
    summary = summarize(answers.ALL[name], CONTEXT)
    assert " ".join(visible(summary.headline).replace("`", "").split()) in shown_page.text
    assert "What to do next" in shown_page.texts("h2")
    assert "Environment" in shown_page.texts("h2")
    assert len(shown_page.ids) == len(set(shown_page.ids))


def test_hints_stand_below_the_set_as_what_they_are():
    with_hints = page(answers.PYTHON_BOUND, replace(CONTEXT, hints=hostile.hints))
    assert "Hints from the source, not measured" in with_hints.texts("h3")
    assert f"for x in {hostile.MARKED}:" in with_hints.texts("code")
    assert "Hints from the source, not measured" not in of("python_bound").texts("h3")


@pytest.mark.parametrize("name", answers.ALL)
def test_links_point_into_the_page_and_lead_somewhere(name):
    shown_page = of(name)
    for tag, attributes in shown_page.attributes:
        assert not attributes.keys() & {"src", "srcset", "action", "onclick", "onload"}
        if tag == "a":
            assert attributes["href"].removeprefix("#") in shown_page.ids
        if "aria-labelledby" in attributes:
            assert attributes["aria-labelledby"] in shown_page.ids
    assert [a["href"] for t, a in shown_page.attributes if t == "link"] == ["data:,"]


def test_the_page_allows_its_own_scripts_and_nothing_else():
    shown_page = of("python_bound")
    (policy,) = (
        a["content"] for _, a in shown_page.attributes if a.get("http-equiv", "").startswith("Cont")
    )
    code = [text for attributes, text in shown_page.scripts if "type" not in attributes]
    hashes = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in code]
    allowed = dict(part.split(" ", 1) for part in policy.split("; "))
    assert allowed["default-src"] == "'none'"
    assert allowed["script-src"].split() == [f"'sha256-{each}'" for each in hashes]
    assert allowed["img-src"] == "data:"
    assert "http" not in policy


def test_pictures_are_there_and_stand_beside_a_table_or_list():
    shown_page = of("python_bound")
    names = ["mattering", "tree", "response-0", "response-1", "response-2"]
    assert list(shown_page.figures) == names
    assert [a["id"] for _, a in shown_page.attributes if a.get("class") == "plot"] == names
    assert all(a["aria-label"] for _, a in shown_page.attributes if a.get("class") == "plot")
    assert shown_page.texts("summary").count("The same as a table") == len(names) - 1
    assert "The same as a list" in shown_page.texts("summary")


def test_time_stands_against_mattering():
    by_symbol = {
        t["marker"]["symbol"]: t for t in of("python_bound").figures["mattering"]["data"][1:]
    }
    sensitive = by_symbol["circle"]
    assert sensitive["x"] == pytest.approx([2.02 / 6.5, 0.98 / 6.5], abs=1e-4)
    assert sensitive["y"] == pytest.approx([0.309, 0.146], abs=1e-4)
    assert sensitive["error_y"]["array"] == pytest.approx([0.012, 0.012], abs=1e-4)
    hidden = by_symbol["triangle-down"]
    assert hidden["x"][0] == pytest.approx(2.9 / 6.5, abs=1e-4)
    assert hidden["y"][0] == pytest.approx(0.004), "the hottest function is worth next to nothing"


def test_the_hottest_function_is_explained_beside_the_picture():
    assert "making it free would gain at most 0.4%" in of("python_bound").text


def test_the_tree_has_every_width_and_the_verdict_of_each_part():
    figure = of("python_bound").figures["tree"]
    (trace,) = figure["data"]
    at = trace["labels"].index("sample_token")
    assert trace["text"][at] == "gain 31%"
    assert "sensitive: gain 30.9% [29.7% … 32.1%]" in trace["hovertext"][at]
    assert trace["marker"]["colors"][at] == "--sensitive"
    assert figure["sizes"]["own"][at] == pytest.approx(2.02e6)
    wait = trace["labels"].index("step")
    assert figure["sizes"]["own"][wait] == pytest.approx(1.15e6)
    assert figure["sizes"]["cpu"][wait] == pytest.approx(0.05e6)
    hot = trace["labels"].index("prepare")
    assert "insensitive (tested), together with 1 other: gain at most 0.4%" in (
        trace["hovertext"][hot].replace("<br>", "")
    )
    idle = trace["labels"].index("31 functions")
    assert trace["text"][idle] == "not called"
    assert sum(figure["sizes"]["count"]) == 38


def test_a_dose_response_goes_on_below_zero_with_its_interval():
    band, faster, fitted, points = of("python_bound").figures["response-1"]["data"]
    assert points["x"][0] == 0.0
    assert points["y"][0] == pytest.approx(6.5)
    own_ms, gain = 2.0085, 0.309  # as injected at dose 1
    assert faster["x"][0] == pytest.approx(-own_ms, rel=1e-3)
    assert faster["y"][0] == pytest.approx(6.5 * (1 - gain), rel=1e-3)
    assert fitted["y"][-1] == pytest.approx(points["y"][-1], rel=1e-3)
    assert min(band["y"]) == pytest.approx(6.5 * (1 - gain - 0.012), rel=1e-3)
    assert "a token would take 4.49 ms instead of 6.50 ms" in of("python_bound").text


def test_hidden_code_is_not_said_to_gain_and_a_group_only_together():
    assert "It is hidden: faster, it would change nothing." in of("gpu_bound").text
    assert "There is room for 5.20 ms more of Python per token" in of("gpu_bound").text
    text = of("co_critical").text
    assert text.count("If it and what it is co-critical with cost nothing") == 2
    assert "faster, all of them: up to 92% of the time per token, one alone gains nothing" in text


def test_the_certificate_and_the_warnings_are_in_words():
    text = of("python_bound").text
    assert "Sufficient: the set alone, slowed by 10%, reproduces 96% [93% … 99%]" in text
    assert "the machine was busy: load 3.1 on 2 cores" in text
    assert of("out_of_budget").text.count("not tested") == 3


def test_experiments_are_a_table_and_so_is_every_measurement():
    def run(seq, block, time_s, targets=frozenset(), status="ok", reason=None):
        label = "pkg.*:*" if targets else ""
        dose = 0.25 if targets else 0.0
        return (
            RunRequest(seq, "search", block, targets, dose=dose, label=label),
            RunObserved(seq, status, 0.3 * seq, 0.3, 1 / time_s, time_s, reason=reason),
        )

    targets = frozenset(("pkg.a:f", "pkg.a:g"))
    rows = [run(1, 1, 0.010), run(2, 1, 0.0125, targets), run(3, 2, 0.010, targets, "failed", "no")]
    shown_page = page(answers.PYTHON_BOUND, measured=measured(rows))
    assert ["pkg.*:*", "search", "2", "25%", "2", "12.5 ms", "−20%", "1 failed: no"] in (
        shown_page.cells
    )
    assert ["3", "1 s", "search", "2", "pkg.*:*", "25%", "10.0 ms", "—", "no"] in shown_page.cells


def test_a_run_that_goes_on_or_that_kept_no_census_says_so():
    assert "still going on" in page(answers.INTERRUPTED, going_on=True).text
    summary = summarize(answers.PYTHON_BOUND, CONTEXT)
    bare = Page(html(Evidence(summary, None)))
    assert "was not kept with this run" in bare.text
    assert "mattering" in bare.figures
    assert "tree" not in bare.figures


class TestHostileNames:
    def of(self):
        return Page(html(hostile.evidence(take_census(hostile.ANSWER))))

    def test_add_no_element_and_no_attribute(self):
        assert self.of().tags <= of("python_bound").tags | of("broken_numbers").tags
        plain = {key for _, attributes in of("python_bound").attributes for key in attributes}
        assert {key for _, attributes in self.of().attributes for key in attributes} <= plain

    def test_are_shown_as_they_are_with_what_cannot_be_seen_made_visible(self):
        shown_page = self.of()
        code = shown_page.texts("code")
        for name in hostile.NAMES:
            assert visible(name) in code
        text = "".join(data for _, data in shown_page.pieces)
        assert all(c.isprintable() or c == "\n" for c in text)
        assert "turned\\u202emod" in text

    def test_are_no_tags_to_plotly_either(self):
        figures = self.of().figures
        texts = [
            *figures["tree"]["data"][0]["labels"],
            *(text for t in figures["mattering"]["data"] for text in t.get("hovertext", ())),
            *(a["text"] for a in figures["mattering"]["layout"]["annotations"]),
        ]
        for text in texts:
            assert not re.search(r"<(?!br>)", text)
            assert "$" not in text, "no formula"
        assert any(entities.unescape(text).startswith(hostile.LAMBDA) for text in texts)

    def test_do_not_end_the_data_of_the_scripts(self):
        raw = html(hostile.evidence(take_census(hostile.ANSWER)))
        data = raw.partition('id="figures">')[2].partition("</script>")[0]
        assert json.loads(data)
        assert not re.search("[<>&\u2028\u2029]", data)

    @pytest.mark.parametrize("name", hostile.NAMES)
    def test_plotly_shows_them_unchanged(self, name):
        assert entities.unescape(shown(name)) == visible(name)


def test_plotly_knows_every_part_of_the_figures():
    objects = pytest.importorskip("plotly.graph_objects")
    for figure in of("python_bound").figures.values():
        text = re.sub(r'"--[\w-]+"', '"#123456"', json.dumps(figure))
        objects.Figure({key: json.loads(text)[key] for key in ("data", "layout")})


def large(functions=20_000):
    """A result with so many functions, nearly all of them ruled out, in many modules."""
    chance = random.Random(5)
    names = [
        f"company.package{n // 2000}.area{n // 100}.module{n // 20}:Class{n // 5}.do_the_thing_{n}"
        for n in range(functions)
    ]
    found = tuple(
        answers.function(name, chance.lognormvariate(-6, 2), calls=chance.randint(1, 50))
        for name in names
    )
    discovery = replace(answers.DISCOVERY, functions=(*answers.DISCOVERY.functions, *found))
    nodes = tuple(
        answers.pruned(f"company.area{n}.*:*", names[n : n + 100], 0.002)
        for n in range(0, functions, 100)
    )
    answer = replace(answers.PYTHON_BOUND, discovery=discovery, insensitive=nodes)
    runs = [
        (
            RunRequest(n, "search", n // 3, frozenset(names[: n % 50]), dose=0.25, label=names[n]),
            RunObserved(n, "ok", 0.3 * n, 0.3, 154.0, 0.0065),
        )
        for n in range(3000)
    ]
    return Evidence(summarize(answer, CONTEXT), take_census(answer), measured(runs))


@pytest.fixture(scope="module")
def large_page():
    return html(large())


def test_a_large_result_is_thinned_and_says_so(large_page):
    assert len(large_page.encode()) < 10e6
    shown_page = Page(large_page)
    (trace,) = shown_page.figures["tree"]["data"]
    assert len(trace["ids"]) <= 1.1 * BRANCHES
    assert sum(shown_page.figures["tree"]["sizes"]["count"]) == 20_006
    assert "sample_token" in trace["labels"], "what matters is drawn"
    assert "they take less time, and are in census.json beside the summary" in shown_page.text
    assert "1000 more rows left out: they are in the journal of the run" in shown_page.text


def test_a_deep_tree_is_drawn_to_a_depth():
    name = "deep:" + ".".join(f"Level{n}" for n in range(300)) + ".end"
    other = name.replace("Level299", "Other")
    answer = replace(
        answers.PYTHON_BOUND,
        discovery=replace(
            answers.DISCOVERY,
            functions=(answers.function(name, 1.0), answers.function(other, 1.0)),
        ),
        sensitive=(),
        insensitive=(),
        unresolved=(),
    )
    root, depth = grow(take_census(answer)), 0
    while root.children:
        root, depth = root.children[0], depth + 1
    assert depth < 30


CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)


@pytest.mark.process
@pytest.mark.skipif(not CHROMIUM, reason="needs Chromium")
@pytest.mark.parametrize("which", ["hostile", "large"])
def test_a_browser_draws_it_without_a_word_and_without_a_network(which, large_page, tmp_path):
    text = large_page
    if which == "hostile":
        text = html(hostile.evidence(take_census(hostile.ANSWER)))
    (tmp_path / "report.html").write_text(text, encoding="utf-8")
    done = subprocess.run(
        [
            *(CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom"),
            *("--enable-logging=stderr", "--host-resolver-rules=MAP * ~NOTFOUND"),
            *("--virtual-time-budget=20000", f"--user-data-dir={tmp_path / 'profile'}"),
            (tmp_path / "report.html").as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert re.findall(r"CONSOLE.*", done.stderr) == []
    drawn = done.stdout.count('class="main-svg"')
    assert drawn == 3 * text.count('<div class="plot"')
