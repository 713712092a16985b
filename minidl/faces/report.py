"""All the figures of an encoder at once, in dictionaries that JSON can hold."""
import numpy as np

from minidl.faces.distances import squared_distances
from minidl.faces.evaluation import auc, check_pairs, equal_error_rate, ten_fold, val_at_far
from minidl.faces.identification import cmc, open_set


def verification(distances, same, fars=(0.1, 0.01, 0.001)):
    """1:1, of pairs: distances (N,), same (N,).  A dictionary of

    pairs, same_pairs   how many                auc, equal_error_rate   see `evaluation`
    accuracy            of the 10-fold protocol (fewer folds where there are fewer than ten pairs of either kind), with its
                        standard_error, the interval (95 %), and the mean threshold
    val_at_far          {rate: share of the pairs of one person accepted}, for the rates that so many pairs can show
    """
    distances, same = check_pairs("verification", distances, same)
    folds = ten_fold(distances, same, min(10, max(same.sum(), (~same).sum())))
    return {"pairs": len(same), "same_pairs": int(same.sum()), "accuracy": folds.accuracy,
            "standard_error": folds.standard_error, "interval": list(folds.interval),
            "threshold": float(folds.thresholds.mean()), "equal_error_rate": equal_error_rate(distances, same)[0],
            "auc": auc(distances, same), "val_at_far": {str(far): val_at_far(distances, same, far).true_accept_rate
                                                        for far in fars if far * (~same).sum() >= 1}}


def recognition(encodings, labels, far=0.01):
    """1:K, from one picture each: the first picture of everybody who has two is enrolled, and all others are asked.

    encodings (N, D) on the host, labels (N,).  A dictionary of
    people, asked                   how many                cmc     the cumulative match characteristic, cmc[0] is rank_one
    detection_rate, at_false_alarm_rate
                                    open set, where only every second person is enrolled and the others are unknown: the
                                    share of the known recognized, at a share of the unknown taken for somebody of at most
                                    `far`; None with fewer than four people
    Raises ValueError unless two people have two pictures.
    """
    labels = np.asarray(labels)
    people, first, person, counts = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    several = np.flatnonzero(counts > 1)
    if len(several) < 2:
        raise ValueError(f"recognition: needs two people with two pictures, got {len(several)} of {len(people)}")
    enrolled = first[several]
    asked = np.setdiff1d(np.flatnonzero(counts[person] > 1), enrolled)
    distances = squared_distances(encodings[asked], encodings[enrolled]).numpy()
    curve = cmc(distances, labels[asked], labels[enrolled])
    figures = {"people": len(several), "asked": len(asked), "rank_one": float(curve[0]), "cmc": curve.tolist(),
               "detection_rate": None, "at_false_alarm_rate": None}
    if len(several) >= 4:
        detected, alarms, _ = open_set(distances[:, ::2], labels[asked], labels[enrolled[::2]]).at_false_alarm_rate(far)
        figures |= {"detection_rate": detected, "at_false_alarm_rate": alarms}
    return figures
