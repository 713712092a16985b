"""Which pictures make a batch."""
import numpy as np

from minidl import backend
from minidl.settings import bounded, check_seed, labels_of, whole


class PeopleSampler:
    """Batches of P people × K pictures, as indices into `labels`; `sampler[t]` is batch number t =
    0, 1, 2, …

    labels (N,): the person of each picture.  Only people with two pictures or more are drawn, each
    with the same chance, and nobody twice in a batch.  Of somebody with fewer than K pictures all
    are taken, so no picture is ever its own positive and a batch holds at most P · K.  Pictures of
    one person stand together.
    Batch t depends on the seed and t alone: any number of them may be drawn ahead, and a run goes
    on where it stopped.
    Raises ValueError where P or K is below 2, or fewer than P people have two pictures.
    """

    def __init__(self, labels, people, pictures, seed):
        people = whole("PeopleSampler", "2 ≤ people < inf", people)
        pictures = whole("PeopleSampler", "2 ≤ pictures < inf", pictures)
        groups = pictures_of(labels)
        self.groups = [group for group in groups.values() if len(group) > 1]
        if len(self.groups) < people:
            raise ValueError(f"PeopleSampler: a batch needs {people} people with two pictures or "
                             f"more, and of {len(groups)} people {len(self.groups)} have")
        self.people, self.pictures = people, pictures
        self.seed = check_seed("PeopleSampler", seed)

    def __getitem__(self, t):
        rng = np.random.default_rng([self.seed, whole("PeopleSampler", "0 ≤ t < inf", t)])
        chosen = rng.choice(len(self.groups), self.people, replace=False)
        return np.concatenate([rng.permutation(self.groups[i])[:self.pictures] for i in chosen])


class PictureSampler:
    """Batches of single pictures for classification: `sampler[t]`, indices into `labels`, with
    repetition.

    A person with n pictures is drawn in proportion to √n: those with many neither drown the others
    nor are wasted.
    """

    def __init__(self, labels, pictures, seed):
        labels = labels_of("PictureSampler", labels)
        if not len(labels):
            raise ValueError("PictureSampler: labels must be (N,), one or more, got none")
        _, person, counts = np.unique(labels, return_inverse=True, return_counts=True)
        weight = counts[person] ** -0.5
        self.probability = weight / weight.sum()
        self.pictures = whole("PictureSampler", "1 ≤ pictures < inf", pictures)
        self.seed = check_seed("PictureSampler", seed)

    def __getitem__(self, t):
        rng = np.random.default_rng([self.seed, whole("PictureSampler", "0 ≤ t < inf", t)])
        return rng.choice(len(self.probability), self.pictures, p=self.probability)


def pictures_of(labels):
    """{person: the positions (integers, ascending) of their pictures}, people in sorted order."""
    labels = labels_of("pictures_of", labels)
    people, counts = np.unique(labels, return_counts=True)
    order = np.argsort(labels, kind="stable")
    return dict(zip(people.tolist(), np.split(order, np.cumsum(counts)[:-1])))


def keep_apart(labels, share, seed):
    """A mask (N,), true for all pictures of a random `share` of the people: to be left out of
    training.

    Those with two pictures or more are divided by the share, and so are those with one.  So both
    sides have pairs, unless a share of so few rounds to nobody.
    """
    share = bounded("keep_apart", "0 < share < 1", share)
    rng, groups = backend.generator(seed), pictures_of(labels)
    apart = np.zeros(len(labels), bool)
    for several in (True, False):
        people = [group for group in groups.values() if (len(group) > 1) == several]
        for i in rng.permutation(len(people))[:round(share * len(people))]:
            apart[people[i]] = True
    return apart
