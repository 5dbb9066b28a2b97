"""What the steps of a rotation are called on screen, beside their own names."""

from keyturn.rotation.orders import family

_LABELS = {
    "look:stage": "looking at the idle slot",
    "stage": "making the new version",
    "look:apply": "looking at the slot again",
    "apply": "letting the target accept it",
    "verify:new": "logging in with the new one",
    "verify:old": "logging in with the old one",
    "promote": "making it current",
    "copy": "writing a derived copy",
    "reverify:new": "logging in with the new one again",
    "deliver": "delivering to consumers",
    "release": "ending the pooler's idle sessions",
    "looks": "moving consumers, and seeing that the store keeps the version",
    "settle": "moving consumers",
    "outlive": "waiting until nothing made with the old one is left",
    "control:old": "checking that the old one still works",
    "disable:old": "switching the old one off",
    "death:new": "logging in with the new one after that",
    "death:old": "trying the old one: it must be refused",
    "death:again": "logging in with the new one once more",
    "retire:old": "retiring the old version in the store",
    "demote": "making the old version current again",
    "withdraw": "withdrawing the new version",
    "kept:old": "logging in with the old one",
    "disable:new": "switching the new one off",
    "refused:new": "trying the new one: it must be refused",
    "plan": "planned",
}


def label(step: str) -> str:
    """The step in plain words; `moving consumers (settle)`. A step without a label is its own."""
    words = _LABELS.get(step) or _LABELS.get(family(step))
    return f"{words} ({step})" if words else step
