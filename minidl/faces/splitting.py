"""People to learn from, people to find the best step by, people to be asked later: nobody twice."""
from dataclasses import dataclass

from minidl.data.pairs import check_pairs, split_people
from minidl.data.people import People, check_people
from minidl.settings import bounded

LEAST = 6           # people with two pictures: two to learn from, two to validate, two to evaluate
MOST_PICTURES = 8   # of anybody, for validation: nobody with hundreds of pictures decides it


@dataclass
class Parts:
    """People to learn from, people to find the best step by, and how many are kept for later."""
    training: People
    validation: People
    kept: int


def split_for_training(people, seed, share=None, pairs=None):
    """Parts of People, by person.

    share: of those with a second picture, so many to find the best step by, and as many kept for
        later.  None: 0.1, or as many as make eight people, but no more than a quarter.
    pairs: Pairs that will be asked later; then everybody on them is kept, and nobody else.
    Raises ValueError where a part would have fewer than two people with a second picture.
    """
    check_people("split_for_training", people)
    people.check_trainable()
    several = people.with_second
    share = max(0.1, min(0.25, 8 / several)) if share is None else bounded(
        "split_for_training", "0 < share < 1", share)
    if pairs is not None:
        check_pairs("split_for_training", pairs)
        training, validation = split_people(people, share, seed, apart=pairs)
        kept = len(people.names) - len(training.names) - len(validation.names)
        return Parts(training, validation.first(MOST_PICTURES), kept)
    if several < LEAST:
        raise ValueError(f"{people.folder}: {several} people have a second picture, training needs "
                         f"{LEAST}: two to learn from, two to find the best step by, and two kept "
                         "apart for evaluate")
    rest, kept = split_people(people, share, seed)
    training, validation = split_people(rest, share, seed)
    return Parts(training, validation.first(MOST_PICTURES), len(kept.names))
