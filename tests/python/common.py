"""What the scripts have in common: what is asked for, and how it is told what came of it."""

import json

MODEL = "sim-1"
SAY = "Say something."
ASK = [{"role": "user", "content": SAY}]

# A tool's schema, and what the simulator gives it.
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Qaanaaq"]}, "days": {"type": "integer", "minimum": 2}},
    "required": ["city", "days"],
}

# What goes wrong upstream, by the model that is asked for.
FAULTS = {"fails-429": "status=429;retry-after=0", "fails-503": "status=503", "fails-drop": "drop"}

# Whose calls are refused: in a run that is used up, and without money. What is asked for a model that is too small never fits.
USED_UP = {"x-quota-agent": "once", "x-quota-run": "1"}
BUDGET = {"x-quota-agent": "poor", "x-quota-run": "1"}
SMALL = "sim-small"

# A model that is reserved for less than it says, and whose money does not do for the rest.
LONG = "sim-long"


def refused(call, *classes, said):
    """What the package raises, and what `said` makes of it."""
    try:
        call()
    except classes as error:
        return {"class": type(error).__name__, **said(error)}
    raise SystemExit("a call that should have been refused was answered")


def refusals(call, *classes, said):
    """All that we refuse. `call` takes a model and headers."""
    raised = lambda model, headers: refused(lambda: call(model, headers), *classes, said=said)
    call(MODEL, USED_UP)
    call(MODEL, BUDGET)
    return {
        "never_fits": raised(SMALL, {}),
        "used_up": raised(MODEL, USED_UP),
        "budget": raised(MODEL, BUDGET),
    }


def used_up(calls, *classes, said):
    """What the package raises where what else there is to call is asked for in a run that is used up, by name."""
    return {name: refused(call, *classes, said=said) for name, call in calls.items()}


def thin(run):
    return {"x-quota-agent": "thin", "x-quota-run": run}


def cut(pieces, *classes, said):
    """What is raised in the midst of a stream, and how much had come."""
    came = []
    error = refused(lambda: came.extend(pieces), *classes, said=said)
    return {**error, "came": len(came)}


def failures(call, *classes, said):
    """What the package raises where the upstream fails."""
    return {
        model: refused(lambda: call(model, {"x-sim-fault": fault}), *classes, said=said)
        for model, fault in FAULTS.items()
    }


def tell(**what):
    print(json.dumps(what))
