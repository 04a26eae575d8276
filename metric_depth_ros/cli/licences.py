"""Licences as SPDX names them (spdx.org/licenses)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

# Words by which others name a licence, in lower case and without punctuation.
_IDS = {
    "apache 2 0": "Apache-2.0",
    "apache license 2 0": "Apache-2.0",
    "apache license version 2 0": "Apache-2.0",
    "apache 2 0 license": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "mit": "MIT",
    "mit license": "MIT",
    "bsd 2 clause": "BSD-2-Clause",
    "2 clause bsd license": "BSD-2-Clause",
    "bsd 3 clause": "BSD-3-Clause",
    "3 clause bsd license": "BSD-3-Clause",
    "isc license iscl": "ISC",
    "zlib license": "Zlib",
    "mozilla public license 2 0 mpl 2 0": "MPL-2.0",
    "python software foundation license": "PSF-2.0",
    "psf 2 0": "PSF-2.0",
    "any osi": "any-OSI",
}
# How a licence's text begins; of several in a file the first counts.
_TEXTS = {
    "apache license version 2 0": "Apache-2.0",
    "permission is hereby granted free of charge": "MIT",
    "redistribution and use in source and binary forms": "BSD-2-Clause",
}
_THIRD_CLAUSE = re.compile(r"neither the names?|names? of .{1,200} may not be used")
_LONGEST_BSD = 1500
_EXPRESSION = re.compile(r"[\w.+-]+( (AND|OR|WITH) [\w.+-]+)+")
_LONGEST_NAME = 80  # longer ones are the licence's text


def licensed(*names: str) -> dict[str, Any]:
    """Licence of a CycloneDX component to which all of these apply; empty if none is named."""
    given = [*filter(None, names)]
    known = [*filter(None, map(_id, given))]
    if len(given) == 1 and _EXPRESSION.fullmatch(given[0]):
        return {"expression": given[0]}
    if len(known) < len(given):
        return {"license": {"name": " and ".join(given)}}
    if len(known) > 1:
        return {"expression": " AND ".join(known)}
    return {"license": {"id": known[0]}} if known else {}


def licence_of(found: Distribution, *stated: str) -> dict[str, Any]:
    """Licence of a Python distribution, of its metadata or, where they name none for sure, of its files.

    ``stated``: licences that its package.xml names; these beat the metadata.
    """
    if len(stated) > 1 or any(map(_id, stated)):
        return licensed(*stated)
    told: Any = found.metadata  # typeshed knows ``get`` of new versions only
    if expression := told.get("License-Expression"):
        return {"expression": expression}
    given = (told.get("License") or "").strip()
    kinds = [kind.split(" :: ")[-1] for kind in told.get_all("Classifier") or () if "License ::" in kind]
    names = [
        name
        for name in (*stated, given, *kinds[-1:])
        if name and len(name) <= _LONGEST_NAME and "\n" not in name
    ]
    sure = next((name for name in names if _id(name) or _EXPRESSION.fullmatch(name)), None)
    texts = (given, *_files(found))
    return licensed(sure or next(filter(None, map(_of_text, texts)), "") or next(iter(names), ""))


def _files(found: Distribution) -> Iterable[str]:
    """Texts of the licence files."""
    for path in found.files or ():
        if path.name.upper().startswith(("LICENSE", "LICENCE", "COPYING")) and "info" in str(path.parent):
            file = Path(str(path.locate()))
            yield file.read_text("utf-8", "replace") if file.is_file() else ""


def _of_text(text: str) -> str:
    """Identifier of the licence whose text this is; empty: unknown."""
    plain = _plain(text)
    begins = {plain.find(words): spdx for words, spdx in _TEXTS.items() if words in plain}
    if not begins:
        return ""
    first = min(begins)
    third = begins[first] == "BSD-2-Clause" and _THIRD_CLAUSE.search(plain, first, first + _LONGEST_BSD)
    return "BSD-3-Clause" if third else begins[first]


def _id(name: str) -> str | None:
    return _IDS.get(_plain(name)) or (name if name in _IDS.values() else None)


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))
