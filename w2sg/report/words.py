"""How the answer words each verdict and each status; honest where nothing can be told."""

from __future__ import annotations

UNKNOWING = "the supervisor cannot be told from chance, so that a gain over it says little"
WRONG_WAY = "the supervisor is below chance, as if its labels were given the wrong way round"

BENEATH = "the ceiling ends below the supervisor, so that true labels taught the student less than the supervisor knows (late ceiling)"

FADING = "fading"
FADES = "an onset can be placed, but whether the gain lasts cannot be told (step, with its interval)"
"""Of an onset whose late gain cannot be told from zero."""

SATURATIONS = {
    "dated": "accuracy saturates: a sigmoid reaches 95 % of its rise (tokens)",
    "open": "when accuracy saturates is not bounded by the revisions (95 % of a sigmoid's rise, tokens)",
    "after": "a sigmoid fitted to accuracy reaches 95 % of its rise only after the last revision",
    "some": "a sigmoid fitted to accuracy reaches 95 % of its rise by the last revision with some seeds only",
}

WORDS: dict[str, dict[str, str]] = {
    "gain": {
        "above": "the student ends above its supervisor (late gain)",
        "below": "the student ends below its supervisor (late gain)",
        "unclear": "the student cannot be told from its supervisor at the end (late gain)",
        "undefined": "whether the student ends above its supervisor cannot be judged (late gain)",
    },
    "gain_first": {
        "above": "the student of a random twin exceeds its supervisor (its accuracy, and gain)",
        "below": "the student of a random twin stays below its supervisor (its accuracy, and gain)",
        "unclear": "the student of a random twin cannot be told from its supervisor (its accuracy, and gain)",
        "undefined": "whether the student of a random twin exceeds its supervisor cannot be judged (its accuracy, and gain)",
    },
    "gain_beyond_weak_on_weak": {
        "above": "the student gains more than a student of the supervisor's own features does (weak on weak; gain beyond that)",
        "below": "the student gains less than a student of the supervisor's own features does (weak on weak; gain beyond that)",
        "unclear": "whether the student gains more than a student of the supervisor's own features cannot be told "
        "(weak on weak; gain beyond that)",
        "undefined": "whether the student gains more than a student of the supervisor's own features cannot be judged "
        "(weak on weak; gain beyond that)",
    },
    "systematic_cost": {
        "above": "the supervisor's systematic errors cost accuracy, against a student of the same labels permuted over pairs",
        "below": "the student of the supervisor's labels is better than one of the same labels permuted over pairs, so that its systematic errors "
        "cost less than its labels tell of single pairs",
        "unclear": "no cost of the supervisor's systematic errors can be told, against a student of the same labels permuted over pairs",
        "undefined": "the cost of the supervisor's systematic errors cannot be judged",
    },
    "error_probe_minus_loss": {
        "below": "the linear probe predicts held-out W2SG accuracy better than evaluation loss does",
        "above": "evaluation loss predicts held-out W2SG accuracy better than the linear probe does",
        "unclear": "it cannot be told which of linear probe and evaluation loss predicts held-out W2SG accuracy better",
        "undefined": "which of linear probe and evaluation loss predicts held-out W2SG accuracy better cannot be judged",
    },
}
"""How each verdict on a quantity is worded: before a list of the cases that have it."""


SHORT: dict[str, dict[str, str]] = {
    "gain": {
        "above": "the student ends above its supervisor in {count} (late gain {span})",
        "below": "the student ends below its supervisor in {count} (late gain {span})",
        "unclear": "the student cannot be told from its supervisor at the end in {count}",
        "undefined": "whether the student ends above its supervisor cannot be judged in {count}",
    },
    "gain_beyond_weak_on_weak": {
        "above": "the student gains more than a student of the supervisor's own features in {count}",
        "below": "the student gains less than a student of the supervisor's own features in {count}",
        "unclear": "whether the student gains more than a student of the supervisor's own features cannot be told in {count}",
        "undefined": "whether the student gains more than a student of the supervisor's own features cannot be judged in {count}",
    },
    "gain_first": {
        "above": "a random twin's student exceeds the supervisor in {count}",
        "below": "a random twin's student stays below the supervisor in {count}",
        "unclear": "a random twin's student cannot be told from the supervisor in {count}",
        "undefined": "whether a random twin's student exceeds the supervisor cannot be judged in {count}",
    },
    "error_probe_minus_loss": {
        "below": "the linear probe predicts held-out W2SG accuracy better than evaluation loss in {count}",
        "above": "evaluation loss predicts held-out W2SG accuracy better than the linear probe in {count}",
        "unclear": "which of linear probe and evaluation loss predicts held-out W2SG accuracy better cannot be told in {count}",
        "undefined": "which of linear probe and evaluation loss predicts held-out W2SG accuracy better cannot be judged in {count}",
    },
}
"""How cases are counted by their verdict on a quantity; each is a sentence of its own, for any of them may be the first."""
