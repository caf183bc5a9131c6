"""Valid input with something wrong in it: it gets further into a parser than random bytes do."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

PLACES = st.integers(0, 2**16)
EXTREMES = [b"\xff" * 4, b"\0" * 4, b"\0\0\0\1", b"\x7f\xff\xff\xff"]


@st.composite
def damaged(draw: st.DrawFn, originals: st.SearchStrategy[bytes]) -> bytes:
    """Some bytes changed, left out, doubled, put in, or moved."""
    data = bytearray(draw(originals))
    for _ in range(draw(st.integers(1, 6))):
        place = draw(PLACES) % (len(data) + 1)
        length = draw(st.integers(1, 12))
        match draw(st.sampled_from(["change", "leave out", "double", "put in", "extreme", "cut"])):
            case "change":
                data[place : place + 1] = draw(st.binary(min_size=1, max_size=1))
            case "leave out":
                del data[place : place + length]
            case "double":
                data[place:place] = data[place : place + length]
            case "put in":
                data[place:place] = draw(st.binary(max_size=12))
            case "extreme":
                data[place : place + 4] = draw(st.sampled_from(EXTREMES))
            case "cut":
                del data[place:]
    return bytes(data)


def randomly_damaged(chance: random.Random, data: bytes) -> bytes:
    """The like without hypothesis, for millions."""
    damaged_ = bytearray(data)
    for _ in range(chance.randrange(1, 7)):
        place = chance.randrange(len(damaged_) + 1)
        length = chance.randrange(1, 13)
        match chance.randrange(6):
            case 0:
                damaged_[place : place + 1] = chance.randbytes(1)
            case 1:
                del damaged_[place : place + length]
            case 2:
                damaged_[place:place] = damaged_[place : place + length]
            case 3:
                damaged_[place:place] = chance.randbytes(chance.randrange(13))
            case 4:
                damaged_[place : place + 4] = chance.choice(EXTREMES)
            case 5 if chance.random() < 0.1:
                del damaged_[place:]
    return bytes(damaged_)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def altered(draw: st.DrawFn, original: Any) -> Any:
    """The document with some of its values replaced by any others, left out, or joined by unknown ones."""
    document = copy.deepcopy(original)
    for _ in range(draw(st.integers(1, 3))):
        container, key = _somewhere(draw, document)
        if container is None:
            continue
        action = draw(st.sampled_from(["replace", "leave out", "add", "another's"]))
        if action == "replace":
            container[key] = draw(JSON)
        elif action == "leave out":
            del container[key]
        elif action == "add" and isinstance(container, dict):
            container[draw(st.text(max_size=12))] = draw(JSON)
        else:
            other, other_key = _somewhere(draw, document)
            if other is not None:
                container[key] = copy.deepcopy(other[other_key])
    return document


def _somewhere(draw: st.DrawFn, document: Any) -> tuple[Any, Any]:
    """A container in the document and one of its keys or positions; None where everything is gone."""
    places = list(_places(document))
    return draw(st.sampled_from(places)) if places else (None, None)


def _places(document: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(document, dict):
        keys: list[Any] = list(document)
    else:
        keys = list(range(len(document))) if isinstance(document, list) else []
    for key in keys:
        yield document, key
        yield from _places(document[key])
