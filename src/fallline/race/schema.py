"""What a results file looks like, as a JSON schema, and the check of a file against it."""

from fallline.race.contender import CONTROLS, FIRST, NAMED
from fallline.race.store import Record

VERSION = 1


def maybe(kind: str) -> Record:
    """A value of this kind, or null: not known, or not finite."""
    return {"type": [kind, "null"]}


def many(items: Record) -> Record:
    """A list of such items."""
    return {"type": "array", "items": items}


def closed(fields: Record) -> Record:
    """An object with exactly these fields."""
    return {"type": "object", "properties": fields, "required": sorted(fields), "additionalProperties": False}


NUMBER: Record = {"type": "number"}
WHOLE: Record = {"type": "integer", "minimum": 0}
TEXT: Record = {"type": "string"}
FLAG: Record = {"type": "boolean"}
WHEN: Record = {"enum": ["constant", "cosine"]}
WHO: Record = {"enum": [*FIRST, NAMED, *CONTROLS]}

ENVIRONMENT = closed(
    dict(fallline=TEXT, torch=TEXT, python=TEXT, platform=TEXT, cpu=TEXT, cores=WHOLE, commit=maybe("string"))
)
PLAN = closed(
    dict(
        workload=TEXT,
        optimizer=TEXT,
        lrs=many(NUMBER),
        momenta=many(NUMBER),
        bank={"anyOf": [{"type": "null"}, many(NUMBER)]},
        schedules=many(WHEN),
        seeds=WHOLE,
        steps=WHOLE,
        quick=FLAG,
        controls=FLAG,
        names=many(TEXT),
    )
)
COMPARISON: Record = {
    "anyOf": [
        {"type": "null"},
        closed(dict(other=TEXT, lr=NUMBER, difference=maybe("number"), spread=maybe("number"), certain=FLAG)),
    ]
}
ROW = closed(
    dict(
        label=TEXT,
        contender=WHO,
        schedule=WHEN,
        lr=NUMBER,
        validation=maybe("number"),
        spread=maybe("number"),
        seeds=WHOLE,
        diverged_runs=WHOLE,
        edge=FLAG,
        to_best_fixed=COMPARISON,
        to_bank=COMPARISON,
    )
)
SETTING = closed(
    dict(
        workload=TEXT,
        fingerprint=TEXT,
        optimizer=TEXT,
        contender=WHO,
        lr=NUMBER,
        schedule=WHEN,
        seed=WHOLE,
        steps=WHOLE,
        weight_decay=NUMBER,
        momentum=maybe("number"),
        bank={"anyOf": [{"type": "null"}, many(NUMBER)]},
        source=maybe("string"),
        code=TEXT,
    )
)
CURVE = closed(dict(step=many(WHOLE), loss=many(NUMBER), momentum=many(NUMBER), effective_lr=many(NUMBER)))
RUN = closed(
    dict(
        key=TEXT,
        setting=SETTING,
        label=TEXT,
        validation=maybe("number"),
        diverged=FLAG,
        diverged_at=maybe("integer"),
        seconds=NUMBER,
        candidates=many(NUMBER),
        curve=CURVE,
        validations=many({"type": "array", "prefixItems": [WHOLE, maybe("number")], "minItems": 2, "maxItems": 2}),
    )
)
SHEET = closed(dict(title=TEXT, corner=TEXT, columns=many(TEXT), rows=many(TEXT), values=many(many(TEXT))))
CHECK: Record = {
    "anyOf": [
        {"type": "null"},
        closed(dict(tables=many(SHEET), faults=many(TEXT))),
    ]
}
RESULT: Record = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "The results of one Fallline race",
    **closed(
        dict(
            version={"const": VERSION},
            workload=TEXT,
            title=TEXT,
            metric=TEXT,
            plan=PLAN,
            environment=ENVIRONMENT,
            rows=many(ROW),
            verdicts=many(TEXT),
            runs=many(RUN),
            check=CHECK,
        )
    ),
}


def validate(result: Record) -> None:
    """Raise when a result does not follow RESULT; needs jsonschema, and without it only looks for the top fields."""
    try:
        import jsonschema
    except ModuleNotFoundError:
        if missing := set(RESULT["required"]) - set(result):
            raise ValueError(f"This is not a results file of a race: it lacks {', '.join(sorted(missing))}.") from None
        return
    jsonschema.validate(result, RESULT, cls=jsonschema.Draft202012Validator)
