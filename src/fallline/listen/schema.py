"""Schema: what `document` looks like, as a JSON schema, read from the data classes themselves."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any, Union, get_args, get_origin, get_type_hints

from .advice import Recommendation
from .estimate import Heard
from .report import VERSION

Json = dict[str, Any]
PLAIN: dict[Any, Json] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": ["number", "null"]},  # null: not finite
    type(None): {"type": "null"},
}


def closed(fields: Mapping[str, Json]) -> Json:
    """An object with exactly these fields."""
    return {"type": "object", "properties": dict(fields), "required": sorted(fields), "additionalProperties": False}


def schema(kind: Any, known: dict[str, Json]) -> Json:
    """Of a type; classes go into `known`, once each.

    >>> schema(dict[str, float | str], {})
    {'type': 'object', 'additionalProperties': {'anyOf': [{'type': ['number', 'null']}, {'type': 'string'}]}}
    """
    if kind in PLAIN:
        return PLAIN[kind]
    origin, inside = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return {"anyOf": [schema(one, known) for one in inside]}
    if origin is dict:
        return {"type": "object", "additionalProperties": schema(inside[1], known)}
    if origin is tuple:
        return {"type": "array", "items": schema(inside[0], known)}
    if not is_dataclass(kind) and not hasattr(kind, "_fields"):
        raise TypeError(f"{kind!r} has no place in a document: data classes, tuples, dicts, numbers and words have.")
    if kind.__name__ not in known:
        known[kind.__name__] = {}  # holds its place while its fields are read
        known[kind.__name__] = closed({name: schema(one, known) for name, one in get_type_hints(kind).items()})
    return {"$ref": f"#/$defs/{kind.__name__}"}


def whole() -> Json:
    """The schema of `document`, which a test holds against what is written."""
    known: dict[str, Json] = {}
    made = closed({name: PLAIN[str] for name in ("fallline", "torch", "python", "date")})
    fields = {
        "version": {"const": VERSION},
        "made": made,
        "heard": schema(Heard, known),
        "recommendation": schema(Recommendation | None, known),
    }
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "What Fallline heard, and advises"}
    return {**head, **closed(fields), "$defs": known}
