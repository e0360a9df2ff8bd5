"""What a search came to, as a JUnit file: the form in which build servers take the results of tests."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from xml.etree import ElementTree

from hpo.errors import InputError, Problem
from hpo.results.requirement import Judgement

_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 has no words for, such as the colours of an error that was made for a terminal."""


def write(path: str, suite: str, judgements: Sequence[Judgement], error: str = "") -> None:
    """Write a suite with one case for the search itself, and one for each requirement; over an older file.

    Args:
        path: the file; nothing is written without one.
        suite: what the search is called.
        judgements: how each requirement was met.
        error: why the search came to no answer, if it did not.

    Raises:
        InputError: the file cannot be written.
    """
    if not path:
        return
    cases = [("the search comes to an answer", error)]
    cases += [(str(it.requirement), "" if it.passed else f"missed: {it}") for it in judgements]
    failures = sum(bool(reason) for _, reason in cases)
    facts = {"name": suite, "tests": str(len(cases)), "failures": str(failures), "errors": "0"}
    root = ElementTree.Element("testsuites")
    parent = ElementTree.SubElement(root, "testsuite", facts)
    for name, reason in cases:
        case = ElementTree.SubElement(parent, "testcase", classname=f"hpo.{suite}", name=name)
        if reason:
            ElementTree.SubElement(case, "failure", message=_NO_XML.sub("\ufffd", reason))
    try:
        ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)
    except OSError as problem:
        raise InputError(Problem(f"junit={path}", f"Cannot write here: {problem.strerror}.")) from None
