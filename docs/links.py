#!/usr/bin/env python3
"""Fails if a link of a README or another page leads nowhere.

    docs/links.py [DOC]    DOC is where `cargo doc` has written, target/doc unless given

A relative link must lead to a file, and one of a README to a file of its package, for it is shown on the
registry's page too. A link to the documentation must lead to a page that `cargo doc` has written, and a
fragment to a heading. Other hosts are not asked.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCS = re.compile(r"https://docs\.rs/(tokio-tls-shutdown[a-z-]*)/latest/(.*)")


def run(*command):
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def anchors(page):
    """The fragments of a page's headings, as GitHub makes them, or the identifiers of an HTML page."""
    text = page.read_text()
    if page.suffix == ".html":
        return set(re.findall(r'id="([^"]+)"', text))
    headings = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def main():
    doc = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "target/doc"
    packages = json.loads(run("cargo", "metadata", "--no-deps", "--format-version=1"))["packages"]
    packed = {}
    for package in packages:
        if package["publish"] != [] and package["readme"]:
            folder = Path(package["manifest_path"]).parent
            files = run("cargo", "package", "--list", "--allow-dirty", "-p", package["name"]).split()
            packed[folder / package["readme"]] = {folder / file for file in files}
    wrong = []
    for page in map(ROOT.joinpath, run("git", "ls-files", "*.md").split()):
        text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
        for link in re.findall(r"\]\(([^()\s]+)\)", text):
            target, _, fragment = link.partition("#")
            if hosted := DOCS.fullmatch(target):
                file = doc / hosted[2]
                file = file / "index.html" if file.is_dir() else file
            elif ":" in target or not re.search(r"[./]", target or page.name):
                continue  # another host, or an item that rustdoc links
            elif "::" in link or page.is_relative_to(ROOT / "src"):
                continue  # rustdoc's, which complains by itself
            else:
                file = (page.parent / target).resolve() if target else page
                if page in packed and file not in packed[page]:
                    wrong.append(f"{page.relative_to(ROOT)}: {link}: not in the package")
            if not file.exists():
                wrong.append(f"{page.relative_to(ROOT)}: {link}: no such file")
            elif fragment and file.is_file() and fragment not in anchors(file):
                wrong.append(f"{page.relative_to(ROOT)}: {link}: no such heading")
    print("\n".join(wrong) or "all links lead somewhere")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
