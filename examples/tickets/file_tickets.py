#!/usr/bin/env python3
"""Files the tickets of a summary with the tracker's own command line, one for each finding.

    file_tickets.py summary.json                  GitHub, with gh
    file_tickets.py --tracker glab summary.json   GitLab, with glab
    speedbump-bisect bench.py --json - | file_tickets.py -

A ticket that is there already is found by a fingerprint in its first comment, whatever its title
has become, and brought up to date instead: what stands between our two comments is replaced, what
people wrote before and after it stays (`--comment`: nothing is replaced, it is said in a comment).
The ticket of a group has the fingerprints of all its members, and is found by any of them.
A ticket that was closed is left alone and mentioned; `--reopen` opens it again. Nothing is ever
closed, for a finding that is gone may be back with the next change. `--dry-run` only looks.

Needs Python 3.8 or later and nothing else; log in to gh or glab, or set GH_TOKEN or GITLAB_TOKEN.
Exits 0 when all is done, 1 when the tracker refused something, 2 when it was asked wrongly.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys

PRINT = "[0-9a-f]{8,64}"
MARK = re.compile(rf"^<!-- speedbump-bisect: ({PRINT}(?: {PRINT})*) -->\s*$", re.MULTILINE)
END = re.compile(r"^<!-- end of speedbump-bisect -->(?=\s*$)", re.MULTILINE)
"""On lines of their own: what our text quotes may contain them."""
LABEL = "speedbump-bisect"
"""By which our tickets are listed; each has it."""


class Refused(Exception):
    """The tracker's command line failed."""


class GitHub:
    """Issues through gh. Values are given as ``--option=value``: none of them can be an option."""

    def __init__(self, repository):
        self.repository = ["--repo=" + repository] if repository else []

    def issues(self):
        """Number, body and whether it is open, of all that have our label."""
        told = self.call(
            *("list", "--state=all", "--limit=1000", "--label=" + LABEL),
            "--json=number,body,state",
        )
        return [
            (each["number"], each["body"], each["state"] == "OPEN") for each in json.loads(told)
        ]

    def file(self, title, body, labels):
        """A new issue; returns where it is. Labels the repository lacks in any case are made."""
        told = call("gh", "label", "list", "--limit=1000", "--json=name", *self.repository)
        known = {each["name"].lower() for each in json.loads(told)}
        for label in labels:
            if label.lower() not in known:
                call("gh", "label", "create", *self.repository, "--", label)
                known.add(label.lower())
        chosen = ["--label=" + label for label in labels]
        return self.call("create", "--title=" + title, "--body-file=-", *chosen, text=body).strip()

    def edit(self, number, body):
        """Replace its text."""
        self.call("edit", str(number), "--body-file=-", text=body)

    def comment(self, number, body):
        """Say something below it."""
        self.call("comment", str(number), "--body-file=-", text=body)

    def reopen(self, number):
        """Open it again."""
        self.call("reopen", str(number))

    def call(self, *arguments, text=None):
        """``gh issue ...``"""
        return call("gh", "issue", *arguments, *self.repository, text=text)


class GitLab:
    """Issues through glab, which makes labels by itself."""

    PAGE = 100

    def __init__(self, repository):
        self.repository = ["--repo=" + repository] if repository else []

    def issues(self):
        """As of GitHub."""
        found, page = [], 0
        while len(found) == page * self.PAGE:
            page += 1
            told = self.call(
                *("list", "--all", "--label=" + LABEL, "--output=json"),
                *(f"--per-page={self.PAGE}", f"--page={page}"),
            )
            found += json.loads(told)
        return [(each["iid"], each["description"], each["state"] == "opened") for each in found]

    def file(self, title, body, labels):
        """As of GitHub."""
        chosen = ["--label=" + label for label in labels]
        return self.call(
            "create", "--title=" + title, "--description=" + body, "--yes", *chosen
        ).strip()

    def edit(self, number, body):
        """As of GitHub."""
        self.call("update", str(number), "--description=" + body)

    def comment(self, number, body):
        """As of GitHub."""
        self.call("note", str(number), "--message=" + body)

    def reopen(self, number):
        """As of GitHub."""
        self.call("reopen", str(number))

    def call(self, *arguments):
        """``glab issue ...``"""
        return call("glab", "issue", *arguments, *self.repository)


def call(*command, text=None):
    """Run a command without a shell; returns what it printed."""
    try:
        done = subprocess.run(
            command, input=text or "", capture_output=True, encoding="utf-8", check=False
        )
    except OSError as error:
        raise Refused(f"{command[0]} cannot be started: {error.strerror}") from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "without a word").splitlines()[-1]
        raise Refused(f"{' '.join(command[:3])} failed with {done.returncode}: {said}")
    return done.stdout


def fingerprints_of(body):
    """Of an issue of ours, its own first; none of another."""
    found = MARK.search(body or "")
    return found[1].split() if found else []


def known_as(tickets, issues):
    """Of each ticket that has one, its issue; no two have the same. Open ones come first, then
    those whose own fingerprint is the ticket's own."""
    pairs = []
    for which, ticket in enumerate(tickets):
        ours = fingerprints_of(ticket["body_markdown"])
        for issue in issues:
            theirs = fingerprints_of(issue[1])
            if set(ours) & set(theirs):
                pairs.append((not issue[2], ours[0] != theirs[0], issue, which))
    there = {}
    for _, _, issue, which in sorted(pairs):
        if which not in there and issue not in there.values():
            there[which] = issue
    return there


def renewed(old, new):
    """``old`` with our part of it replaced; what people wrote around it stays."""
    begin = MARK.search(old).start()
    end = END.search(old, begin)
    after = old[end.end() :] if end else ""
    return old[:begin] + new.strip() + after


def read(path):
    """The tickets of a summary, and what it says where there are none."""
    with sys.stdin if path == "-" else open(path, encoding="utf-8") as file:
        summary = json.load(file)
    if not isinstance(summary, dict) or summary.get("schema_version") != 1:
        raise ValueError("it is no summary of speedbump-bisect, or of a version not known here")
    for ticket in summary["tickets"]:
        if fingerprints_of(ticket["body_markdown"])[:1] != [ticket["fingerprint"]]:
            raise ValueError("the text of a ticket lacks its fingerprint")
    return summary["tickets"], summary["headline"]


def command_line():
    """What may be asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("summary", help="the JSON summary; - is standard input")
    parser.add_argument("--tracker", choices=("gh", "glab"), default="gh")
    parser.add_argument("--repo", help="OWNER/NAME; default: of the folder this runs in")
    parser.add_argument("--label", action="append", default=[], help="one more label; repeatable")
    parser.add_argument("--comment", action="store_true", help="comment instead of replacing text")
    parser.add_argument("--reopen", action="store_true", help="open closed tickets again")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done")
    return parser


def main(arguments=None):
    """File, or bring up to date; returns the exit code."""
    options = command_line().parse_args(arguments)
    try:
        tickets, headline = read(options.summary)
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"file_tickets: {options.summary} cannot be used: {error}", file=sys.stderr)
        return 2
    if not tickets:
        print(f"nothing to file: {headline}")
        return 0
    tracker = (GitHub if options.tracker == "gh" else GitLab)(options.repo)
    try:
        there = known_as(tickets, tracker.issues())
        for which, ticket in enumerate(tickets):
            told = settle(tracker, ticket, there.get(which), options)
            print(f"{told}: {ticket['title']}", flush=True)
    except (Refused, ValueError, KeyError) as error:
        print(f"file_tickets: {error}", file=sys.stderr)
        return 1
    return 0


def settle(tracker, ticket, there, options):
    """Do for one ticket what there is to do; returns what was done."""
    would = "would be " if options.dry_run else ""
    body = ticket["body_markdown"]
    if there is None:
        labels = list(dict.fromkeys([LABEL, *ticket["labels"], *options.label]))
        where = "" if options.dry_run else tracker.file(one_line(ticket["title"]), body, labels)
        return f"{would}filed {where}".strip()
    number, old, is_open = there
    if not is_open and not options.reopen:
        return f"#{number} is closed and left alone"
    if not options.dry_run:
        if not is_open:
            tracker.reopen(number)
        if options.comment:
            tracker.comment(number, body)
        else:
            tracker.edit(number, renewed(old, body))
    done = "commented on" if options.comment else "updated"
    return f"#{number} {would}{done}{'' if is_open else ' and reopened'}"


def one_line(title):
    """A title as trackers take it."""
    return " ".join(title.split())


if __name__ == "__main__":
    sys.exit(main())
