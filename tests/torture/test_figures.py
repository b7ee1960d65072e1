"""The table of the last runs is read, shown beside new figures, and written again."""

from __future__ import annotations

import pytest
from torture import figures
from torture.frame import PARTS, Row, table

ROW = Row(1, "kills", "0 bad of 30 (2 late)", "5 bad of 9", "0 bad of 20", kept=True)
FEW = Row(2, "cuts", "0 bad of 3", "", "0 bad of 20", kept=False, few=True)


def test_figures_of_a_full_run_are_shown_beside_the_next(tmp_path, monkeypatch):
    page = tmp_path / "README.md"
    page.write_text(f"before\n{figures.BEGIN}\nold\n{figures.END}\nafter\n")
    monkeypatch.setattr(figures, "PAGE", page)
    assert figures.before() == {}
    figures.write([ROW, FEW], 30, ["kills: there was no time for 3 jobs"])
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "- kills: there was no time for 3 jobs" in text
    assert figures.before() == {"kills": ROW.ours, "cuts": FEW.ours}
    new = ROW._replace(ours="1 bad of 40", kept=False, bad=("what went wrong",))
    lines = table([new, FEW._replace(what="others")], figures.before()).splitlines()
    assert "1 bad of 40" in lines[2]
    assert ROW.ours in lines[2]
    assert lines[2].endswith("NO")
    assert lines[3].endswith("too few")
    assert lines[-1] == "what went wrong"


def test_figures_of_some_parts_replace_those_of_these_parts(tmp_path, monkeypatch):
    page = tmp_path / "README.md"
    page.write_text(f"{figures.BEGIN}\n{figures.END}")
    monkeypatch.setattr(figures, "PAGE", page)
    figures.write([ROW, FEW], 30, ["kills: no time for 3 jobs", "cuts: no time for 2 jobs"])
    more = FEW._replace(ours="0 bad of 25", kept=True, few=False)
    figures.write([more, FEW._replace(what="others")], 5, ["others: no time for 1 jobs"], ["cuts"])
    assert figures.before() == {"kills": ROW.ours, "cuts": more.ours, "others": FEW.ours}
    text = page.read_text()
    assert "cuts: no time" not in text
    assert "- kills: no time for 3 jobs\n- others: no time for 1 jobs" in text
    assert [line.rpartition(", ")[2] for line in text.splitlines() if line.startswith("| 2")] == [
        *["5 minutes |"] * 2
    ]
    assert "30 minutes |" in text


def test_the_page_has_figures_and_names_all_parts():
    text = figures.PAGE.read_text()
    assert len(figures.before(text)) > 15
    assert [part.name for part in PARTS if f"\n| {part.name} | " not in text] == []


def test_a_page_without_its_markers_is_an_error():
    with pytest.raises(ValueError, match="begin"):
        figures.before("nothing")
