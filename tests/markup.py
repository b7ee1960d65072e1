"""HTML that the package makes for notebooks, parsed."""

from __future__ import annotations

from html.parser import HTMLParser


class Balanced(HTMLParser):
    """A parser that checks that every tag is closed, and collects the text."""

    def __init__(self):
        super().__init__()
        self.open, self.text, self.tags = [], [], set()

    def handle_starttag(self, tag, attrs):
        del attrs
        self.open.append(tag)
        self.tags.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def parse(html):
    parser = Balanced()
    parser.feed(html)
    parser.close()
    assert parser.open == []
    return parser
