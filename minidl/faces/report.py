"""All the figures of an encoder at once, in dictionaries that JSON can hold."""
import numpy as np

from minidl.faces.distances import squared_distances
from minidl.faces.evaluation import auc, check_pairs, equal_error_rate, ten_fold, val_at_far
from minidl.faces.identification import cmc, open_set
from minidl.operands import function
from minidl.settings import having, labels_of, numbers

SIZES = 1, 2, 5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560      # of galleries
STRANGERS = 10                  # people who are not enrolled, at least


def verification(distances, same, fars=(0.1, 0.01, 0.001)):
    """1:1, of pairs: distances (N,), same (N,).  A dictionary of

    pairs, same_pairs           how many
    auc, equal_error_rate       see `evaluation`
    accuracy                    of the 10-fold protocol (fewer folds where neither kind of pairs has
                                ten), with its standard_error, interval (95 %) and mean threshold
    val_at_far                  {rate: share of the pairs of one person accepted}, for the rates
                                that so many pairs can show
    Raises ValueError unless there are pairs of both kinds, three or more.
    """
    distances, same = check_pairs("verification", distances, same)
    if len(same) < 3:
        raise ValueError("verification: needs three pairs or more, so that there are two folds, "
                         f"got {len(same)}")
    folds = ten_fold(distances, same, min(10, max(same.sum(), (~same).sum())))
    return {
        "pairs": len(same),
        "same_pairs": int(same.sum()),
        "accuracy": folds.accuracy,
        "standard_error": folds.standard_error,
        "interval": list(folds.interval),
        "threshold": float(folds.thresholds.mean()),
        "equal_error_rate": equal_error_rate(distances, same)[0],
        "auc": auc(distances, same),
        "val_at_far": {str(far): val_at_far(distances, same, far).true_accept_rate
                       for far in fars if far * (~same).sum() >= 1},
    }


def recognition(encodings, labels, far=0.01):
    """1:K, from one picture each: the first picture of everybody who has two is enrolled, and all
    others are asked.

    encodings (N, D) on the host, labels (N,).  A dictionary of

    people, asked               how many
    cmc, rank_one               the cumulative match characteristic, and its first, cmc[0]
    detection_rate              open set, where only every second person is enrolled and the others
                                are unknown: the share of the known recognized, at the largest τ
                                that takes at most a share `far` of the unknown for somebody
    at_false_alarm_rate         that share at this τ.  Both are None with fewer than four people
    Raises ValueError unless two people have two pictures.
    """
    encodings, labels = _checked("recognition", encodings, labels)
    people, first, person, counts = np.unique(labels, return_index=True, return_inverse=True,
                                              return_counts=True)
    several = np.flatnonzero(counts > 1)
    if len(several) < 2:
        raise ValueError(f"recognition: needs two people with two pictures, got {len(several)} of "
                         f"{len(people)}")
    enrolled = first[several]
    asked = np.setdiff1d(np.flatnonzero(counts[person] > 1), enrolled)
    distances = squared_distances(encodings[asked], encodings[enrolled]).numpy()
    curve = cmc(distances, labels[asked], labels[enrolled])
    figures = {"people": len(several), "asked": len(asked), "rank_one": float(curve[0]),
               "cmc": curve.tolist(),
               "detection_rate": None, "at_false_alarm_rate": None}
    if len(several) >= 4:
        detected, alarms, _ = open_set(distances[:, ::2], labels[asked],
                                       labels[enrolled[::2]]).at_false_alarm_rate(far)
        figures |= {"detection_rate": detected, "at_false_alarm_rate": alarms}
    return figures


def open_set_growth(encodings, labels, rules, draws=20, seed=0):
    """1:K as a gallery grows: strangers and known people, K of these enrolled from one picture
    each.

    encodings (N, D) on the host, labels (N,).  rules: {name: τ as a function of K}.
    In each draw K of the people with two pictures are enrolled, and their other pictures asked.
    The strangers, one picture each, are a third of all people, and no fewer than ten.
    A list of dictionaries, one for each K and rule, with means over the draws:

    enrolled, rule, threshold   K, the rule's name, and its τ there
    strangers, known            how many pictures of them are asked in a draw
    strangers_named             the share of strangers for whom anybody is within τ
    expected                    1 − (1 − F)^K, F the share of the strangers' comparisons within τ:
                                what would come if these were independent.  Less comes where some
                                strangers resemble many people
    known_found, known_wrong    the share of the known who get the right name, and another
    Raises ValueError unless ten people can be strangers and one of the others has two pictures.
    """
    encodings, labels = _checked("open_set_growth", encodings, labels)
    for name, rule in having("open_set_growth", "rules", rules, "a dictionary", "items").items():
        function("open_set_growth", f"rules[{name!r}]", rule, "of K")
    people, person, counts = np.unique(labels, return_inverse=True, return_counts=True)
    several = np.flatnonzero(counts > 1)
    strangers = max(STRANGERS, len(people) // 3)
    most = min(len(several), len(people) - strangers)
    if most < 1:
        raise ValueError(f"open_set_growth: needs {STRANGERS} strangers and somebody with two "
                         f"pictures, got {len(people)} people, {len(several)} with two pictures")
    sizes = [size for size in SIZES if size <= most]
    rng, rows = np.random.default_rng(seed), {}
    for _ in range(draws):
        mixed = rng.permutation(len(labels))
        first = mixed[np.unique(person[mixed], return_index=True)[1]]  # of everybody, a picture
        enrolled = rng.permutation(several)[:sizes[-1]]
        unknown = np.setdiff1d(np.arange(len(people)), enrolled)
        asked = np.setdiff1d(np.flatnonzero(np.isin(person, enrolled)), first[enrolled])
        known, strange = (
            np.sqrt(squared_distances(encodings[queries], encodings[first[enrolled]]).numpy())
            for queries in (asked, first[rng.permutation(unknown)[:strangers]]))
        for size in sizes:
            own = np.isin(person[asked], enrolled[:size])
            near, others = known[own, :size], strange[:, :size]
            right = enrolled[near.argmin(1)] == person[asked[own]]
            for name, rule in rules.items():
                tau = rule(size)
                accepted = near.min(1) <= tau
                rows.setdefault((size, name), []).append({
                    "known": len(near), "strangers_named": np.mean(others.min(1) <= tau),
                    "expected": 1 - (1 - np.mean(others <= tau)) ** size,
                    "known_found": np.mean(right & accepted),
                    "known_wrong": np.mean(~right & accepted)})
    return [{"enrolled": size, "rule": name, "threshold": float(rules[name](size)),
             "strangers": strangers}
            | {key: float(np.mean([draw[key] for draw in drawn])) for key in drawn[0]}
            for (size, name), drawn in rows.items()]


def _checked(operation, encodings, labels):
    """Encodings (N, D) and labels (N,) as arrays; raises ValueError unless they fit."""
    encodings = numbers(operation, "encodings", encodings, "(N, D)", None)
    labels = labels_of(operation, labels)
    if len(labels) != len(encodings):
        raise ValueError(f"{operation}: {len(encodings)} encodings need as many labels, got "
                         f"{len(labels)}")
    return encodings, labels
