#!/usr/bin/env python3
"""Stands in for `gh` and `glab`, by the name it is called: keeps issues in a JSON file.

It takes what the real ones are given by the recipe, and refuses everything else, so that a title
that became an option is noticed.
"""

import json
import os
import sys
from pathlib import Path

TOOL = Path(sys.argv[0]).name
STATE = Path(os.environ["TRACKER_STATE"])
TAKEN = {
    "gh issue list": {"state", "limit", "label", "json", "repo"},
    "gh issue create": {"title", "body-file", "label", "repo"},
    "gh issue edit": {"body-file", "repo"},
    "gh issue comment": {"body-file", "repo"},
    "gh issue reopen": {"repo"},
    "gh label list": {"limit", "json", "repo"},
    "gh label create": {"repo"},
    "glab issue list": {"all", "label", "output", "per-page", "page", "repo"},
    "glab issue create": {"title", "description", "label", "yes", "repo"},
    "glab issue update": {"description", "repo"},
    "glab issue note": {"message", "repo"},
    "glab issue reopen": {"repo"},
}


def main():
    words, options, ours = [], {}, True
    for word in sys.argv[1:]:
        if word == "--":
            ours = False
        elif ours and word.startswith("-"):
            key, _, value = word.removeprefix("--").partition("=")
            options.setdefault(key, []).append(value)
        else:
            words.append(word)
    command = " ".join([TOOL, *words[:2]])
    if command not in TAKEN or not options.keys() <= TAKEN[command]:
        sys.exit(f"unknown: {sys.argv[1:]}")
    state = json.loads(STATE.read_text()) if STATE.exists() else {"issues": [], "labels": []}
    state.setdefault("calls", []).append(command)
    answer(words[1], words[2:], {k: v for k, v in options.items() if k != "repo"}, state)
    STATE.write_text(json.dumps(state))


def answer(verb, words, options, state):
    issues = state["issues"]
    text = sys.stdin.read() if options.get("body-file") == ["-"] else None
    for given in ("description", "message"):
        text = options[given][0] if given in options else text
    if verb == "list" and "label" not in options:
        print(json.dumps([{"name": name} for name in state["labels"]]))
    elif verb == "list":
        found = [i for i in issues if options["label"][0] in i["labels"]]
        size, page = (int(options.get(k, [d])[0]) for k, d in (("per-page", 10**6), ("page", 1)))
        print(json.dumps([shown(i) for i in found[(page - 1) * size : page * size]]))
    elif verb == "create" and "title" not in options:
        if words[0].lower() in map(str.lower, state["labels"]):
            sys.exit(f"label with name {words[0]!r} already exists")
        state["labels"].append(words[0])
    elif verb == "create":
        known = set(map(str.lower, state["labels"]))
        if TOOL == "gh" and not set(map(str.lower, options["label"])) <= known:
            sys.exit("could not add label: not found")
        number = len(issues) + 1
        new = {"number": number, "title": options["title"][0], "body": text, "open": True}
        issues.append(new | {"labels": options["label"], "comments": []})
        print(f"https://tracker.example/issues/{number}")
    else:
        (issue,) = (i for i in issues if str(i["number"]) == words[0])
        if verb == "reopen":
            issue["open"] = True
        elif verb in ("comment", "note"):
            issue["comments"].append(text)
        else:
            issue["body"] = text


def shown(issue):
    if TOOL == "gh":
        state = "OPEN" if issue["open"] else "CLOSED"
        return {"number": issue["number"], "body": issue["body"], "state": state}
    state = "opened" if issue["open"] else "closed"
    return {"iid": issue["number"], "description": issue["body"], "state": state}


main()
