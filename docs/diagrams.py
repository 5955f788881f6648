#!/usr/bin/env python3
"""Draws the sequence diagrams of the guide into src/doc/guide/diagrams/.

    docs/diagrams.py            writes the files
    docs/diagrams.py --check    fails if a file is not what would be written

A diagram is two lines of time, the client's and the server's, and what crosses between them. The SVG is
pasted into Markdown, so it has no empty line, closes each tag, and takes its colour from the page.
"""

import sys
from html import escape
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "src/doc/guide/diagrams"

WIDTH = 760
LEFT, RIGHT = 250, 510  # where the two lines of time are
TOP, ROW = 46, 36
SLOPE = 20  # how much later a message arrives than it leaves
ALERT, BAD = "#2a9461", "#d9534f"  # readable on light and on dark pages

# What an arrow looks like: colour, dashes, width.
STYLES = {
    "data": ("currentColor", "", 1.4),
    "alert": (ALERT, "", 2.2),
    "tcp": ("currentColor", "6 4", 1.4),
    "reset": (BAD, "", 2.2),
}


def text(x, y, words, anchor="middle", colour="currentColor", weight="normal"):
    return (
        f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" fill="{colour}" '
        f'font-weight="{weight}">{escape(words)}</text>'
    )


def line(x1, y1, x2, y2, colour, dashes="", width=1.0):
    dash = f' stroke-dasharray="{dashes}"' if dashes else ""
    return (
        f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="{colour}" '
        f'stroke-width="{width:g}"{dash}></line>'
    )


def head(x, y, dx, dy, colour):
    """The head of an arrow that arrives at (x, y) in the direction (dx, dy)."""
    length = (dx * dx + dy * dy) ** 0.5
    ux, uy = dx / length, dy / length
    bx, by = x - 10 * ux, y - 10 * uy
    points = f"{x:.1f},{y:.1f} {bx - 4.5 * uy:.1f},{by + 4.5 * ux:.1f} {bx + 4.5 * uy:.1f},{by - 4.5 * ux:.1f}"
    return f'<polygon points="{points}" fill="{colour}"></polygon>'


class Diagram:
    """Rows count from 0; an event at row 2.5 is between the third and the fourth."""

    def __init__(self, name, title, client="client", server="server"):
        self.name, self.title = name, title
        self.names = client, server
        self.shapes, self.rows = [], 0.0

    def _y(self, row, below=0.0):
        self.rows = max(self.rows, row + below)
        return TOP + 22 + row * ROW

    def send(self, side, row, words, style, label_at=0.5, lost=False):
        """An arrow from `side` that leaves at `row`. A lost one ends before it arrives."""
        colour, dashes, width = STYLES[style]
        x1, x2 = (LEFT, RIGHT) if side == "client" else (RIGHT, LEFT)
        y1 = self._y(row, below=SLOPE / ROW)
        y2 = y1 + SLOPE
        if lost:
            x2, y2 = x1 + (x2 - x1) * 0.72, y1 + SLOPE * 0.72
        dx, dy = x2 - x1, y2 - y1
        self.shapes.append(line(x1, y1, x2 - dx * 0.03, y2 - dy * 0.03, colour, dashes, width))
        if lost:
            for sign in (-1, 1):
                self.shapes.append(line(x2 - 6, y2 - 6 * sign, x2 + 6, y2 + 6 * sign, BAD, "", 2.2))
        else:
            self.shapes.append(head(x2, y2, dx, dy, colour))
        bold = "bold" if style in ("alert", "reset") else "normal"
        fill = colour if bold == "bold" else "currentColor"
        self.shapes.append(text(x1 + dx * label_at, y1 + dy * label_at - 9, words, colour=fill, weight=bold))

    def note(self, side, row, *lines, colour="currentColor"):
        """Words beside the line of time of `side`."""
        x, anchor = (LEFT - 14, "end") if side == "client" else (RIGHT + 14, "start")
        for i, words in enumerate(lines):
            self.shapes.append(text(x, self._y(row, below=i * 0.45) + 4 + i * 16, words, anchor, colour))

    def span(self, side, first, last):
        """A bar on the line of time: this side waits."""
        x = LEFT if side == "client" else RIGHT
        y1, y2 = self._y(first), self._y(last)
        self.shapes.append(
            f'<rect x="{x - 4}" y="{y1:g}" width="8" height="{y2 - y1:g}" rx="3" '
            f'fill="currentColor" fill-opacity="0.35"></rect>'
        )

    def svg(self):
        bottom = TOP + 22 + self.rows * ROW + 22
        out = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 8:g}" '
            f'width="{WIDTH}" style="max-width: 100%; height: auto" role="img" '
            f'aria-label="{escape(self.title)}" font-family="sans-serif" font-size="14">',
            f"<title>{escape(self.title)}</title>",
        ]
        for x, name in zip((LEFT, RIGHT), self.names):
            out.append(text(x, TOP - 12, name, weight="bold"))
            out.append(line(x, TOP, x, bottom, "currentColor"))
        out += self.shapes
        out.append("</svg>")
        return "\n".join(out) + "\n"


def diagrams():
    d = Diagram("one_way", "One-way close: close_notify is sent, and its answer is not waited for")
    d.send("client", 0, "the last data", "data")
    d.note("client", 1, "close_notify().await", "returns when it is sent")
    d.send("client", 1, "close_notify", "alert")
    d.note("server", 1.55, "the data are complete")
    d.note("client", 2.2, "drop the stream")
    d.send("client", 2.2, "FIN", "tcp")
    d.send("server", 3.2, "close_notify", "alert")
    d.note("client", 3.75, "no one reads it")
    yield d

    d = Diagram("bidirectional", "Bidirectional close: both sides send close_notify")
    d.send("client", 0, "the last data", "data")
    d.note("client", 1, "shutdown_bidirectional()")
    d.send("client", 1, "close_notify", "alert")
    d.span("client", 1, 2.65)
    d.note("server", 1.55, "reads to the end")
    d.send("server", 2.1, "close_notify", "alert")
    d.note("client", 2.65, "clean: nothing is missing", colour=ALERT)
    d.send("client", 3.3, "FIN", "tcp")
    d.send("server", 4.1, "FIN", "tcp")
    yield d

    d = Diagram("half_close", "Half-close: one direction ends, the other continues")
    d.send("client", 0, "request", "data")
    d.note("client", 1, "close_notify()")
    d.send("client", 1, "close_notify", "alert")
    d.note("server", 1.55, "the request is complete")
    d.note("client", 2.2, "reads on")
    d.send("server", 2.0, "response", "data")
    d.send("server", 2.8, "more of it", "data")
    d.send("server", 3.7, "close_notify", "alert")
    d.note("client", 4.25, "the response is complete", colour=ALERT)
    yield d

    d = Diagram("crossing", "Crossing: both sides close at the same time")
    d.note("client", 0, "shutdown_bidirectional()")
    d.note("server", 0, "shutdown_bidirectional()")
    d.send("client", 0, "data", "data", 0.22)
    d.send("server", 0, "data", "data", 0.22)
    d.send("client", 1, "close_notify", "alert", 0.27)
    d.send("server", 1, "close_notify", "alert", 0.27)
    d.span("client", 1, 1.55)
    d.span("server", 1, 1.55)
    d.note("client", 1.62, "clean", colour=ALERT)
    d.note("server", 1.62, "clean", colour=ALERT)
    d.send("client", 2.4, "FIN", "tcp", 0.22)
    d.send("server", 2.4, "FIN", "tcp", 0.22)
    yield d

    d = Diagram("truncation", "Truncation: the transport ends without close_notify")
    d.send("server", 0, "half of the response", "data")
    d.send("server", 1, "the other half", "data", lost=True)
    d.note("server", 1.9, "crashes, or someone on", "the network sends a FIN", colour=BAD)
    d.send("server", 2, "FIN", "tcp")
    d.note("client", 2.6, "UnexpectedEof: is this all?", "There is no way to know.", colour=BAD)
    yield d

    d = Diagram("reset", "Reset: the socket is closed with unread bytes in it")
    d.send("server", 0, "session tickets", "data")
    d.note("client", 0.56, "not read")
    d.send("client", 1.1, "data", "data")
    d.send("client", 1.9, "data, close_notify", "data", lost=True)
    d.note("client", 1.9, "still in the send buffer")
    d.note("client", 2.8, "drop the stream")
    d.send("client", 2.8, "RST", "reset")
    d.note("client", 3.35, "the send buffer is discarded", colour=BAD)
    d.note("server", 3.35, "ConnectionReset:", "the end of the data is lost", colour=BAD)
    yield d


def main():
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        sys.exit(__doc__)
    stale = []
    FOLDER.mkdir(parents=True, exist_ok=True)
    for diagram in diagrams():
        path, svg = FOLDER / f"{diagram.name}.svg", diagram.svg()
        if check:
            if not path.exists() or path.read_text(encoding="utf8") != svg:
                stale.append(path.name)
        else:
            path.write_text(svg, encoding="utf8")
    if stale:
        sys.exit(f"not what docs/diagrams.py draws: {', '.join(stale)}")


if __name__ == "__main__":
    main()
