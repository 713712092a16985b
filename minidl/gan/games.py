"""The games: what the discriminator (the art critic) and the generator (the artist) make small.

The generator turns noise into samples, x = G(z), of a density q.  The discriminator gives every x a
score s(x), any real number, high for what it takes for real.  In the first two games
D(x) = σ(s(x)) is the probability that it says.  The data have the density p.  A game is two costs,
functions of the scores alone: r = s(x) of real x, and f = s(G(z)).

    game              discriminator's cost                  generator's cost
    minimax           E softplus(−r) + E softplus(f)        −E softplus(f)
    non-saturating    the same                              E softplus(−f)
    least-squares     ½ E (r − 1)² + ½ E f²                 ½ E (f − 1)²
    hinge             E max(0, 1 − r) + E max(0, 1 + f)     −E f
    wasserstein       E f − E r                             −E f
    relativistic      E softplus(f − r)                     E softplus(r − f)

−log σ(s) = softplus(−s) and −log(1 − σ(s)) = softplus(s): from scores, neither log 0 nor overflow.
What the games measure at the best discriminator stands in `theory.py`.
"""
from minidl import ops
from minidl.operands import floating, same_device
from minidl.settings import one_of


class Game:
    """Two costs on scores, each a single number.

    discriminator(real, fake): of scores (N,) or (N, 1) of real and of generated samples.  These
        samples have no graph (`x.detach()`): the generator stands still in this step.
    generator(fake, real=None): of the scores of samples that have their graph; only the
        relativistic game looks at `real`.
    Raises ValueError for scores of other shapes.
    """

    def discriminator(self, real, fake):
        r, f = self._scores("real", real), self._scores("fake", fake)
        same_device(type(self).__name__, real=r, fake=f)
        return self.critic(r, f)

    def generator(self, fake, real=None):
        f = self._scores("fake", fake)
        return self.artist(f, None if real is None else self._scores("real", real))

    def _scores(self, which, scores):
        """Scores as (N,)."""
        s = floating(type(self).__name__, scores, which)
        if s.size == 0 or s.shape not in ((s.size,), (s.size, 1)):
            raise ValueError(f"{type(self).__name__}: {which} scores must be (N,) or (N, 1), one "
                             f"for each sample, got {s.shape}")
        return ops.reshape(s, (s.size,))


class Minimax(Game):
    """The zero-sum game of the value  V(D, G) = E log D(x) + E log(1 − D(G(z))):  the critic makes
    −V small, the artist V, whose first half does not depend on it.

    The artist's slope is  d(−softplus(f)) / df = −σ(f).  Where the critic is sure, f → −∞, it is 0:
    an artist that is bad learns nothing.
    Source: Goodfellow et al. 2014.
    """

    def critic(self, r, f):
        return ops.mean(ops.softplus(-r)) + ops.mean(ops.softplus(f))

    def artist(self, f, r):
        return -ops.mean(ops.softplus(f))


class NonSaturating(Minimax):
    """The same critic; the artist makes log D(G(z)) large.

    Its slope is  d softplus(−f) / df = −σ(−f),  nearly −1 where the critic is sure.  Like the other
    slope it is negative, so each sample is pulled along ∇ₓ s, and rests where s is flat, in both
    games.
    Source: Goodfellow et al. 2014, section 3.
    """

    def artist(self, f, r):
        return ops.mean(ops.softplus(-f))


class LeastSquares(Game):
    """Real scores to 1, generated ones to 0; the artist wants 1.

    Pointwise ½ p (s − 1)² + ½ q s² has its minimum where p (s − 1) + q s = 0:  s* = p / (p + q).
    Source: Mao et al. 2017, with its factors ½.
    """

    def critic(self, r, f):
        return (ops.mean(ops.square(r - 1)) + ops.mean(ops.square(f))) / 2

    def artist(self, f, r):
        return ops.mean(ops.square(f - 1)) / 2


class Hinge(Game):
    """Real scores beyond 1, generated ones below −1; what is there already gives no slope.

    Pointwise p max(0, 1 − s) + q max(0, 1 + s) has the slope q − p between −1 and 1:
    s* = sign(p − q).
    Source: Lim and Ye 2017; Tran, Ranganath and Blei 2017.
    """

    def critic(self, r, f):
        return ops.mean(ops.relu(1 - r)) + ops.mean(ops.relu(1 + f))

    def artist(self, f, r):
        return -ops.mean(f)


class Wasserstein(Game):
    """The difference of means.  Without a bound on the critic's slope it has no minimum: play it
    with `gradient_penalty`.

    Source: Arjovsky, Chintala and Bottou 2017.
    """

    def critic(self, r, f):
        return ops.mean(f) - ops.mean(r)

    def artist(self, f, r):
        return -ops.mean(f)


class Relativistic(Game):
    """One real sample against one generated one: which is more real?

    D(x, x') = σ(s(x) − s(x')).  An artist who leaves a mode out loses there against real samples,
    and the cost shows it: it holds r.  With R1 and R2 the place of rest attracts.
    As many real scores as generated ones.
    Source: Jolicoeur-Martineau 2018, in pairs; Huang et al. 2024 (R3GAN).
    """

    def critic(self, r, f):
        return ops.mean(ops.softplus(f - self.paired(r, f)))

    def artist(self, f, r):
        return ops.mean(ops.softplus(self.paired(r, f) - f))

    def paired(self, r, f):
        """r, if there is one for each f: another number might broadcast."""
        if r is None or r.shape != f.shape:
            real = 0 if r is None else r.size
            raise ValueError("Relativistic: each generated sample is compared with a real one; got "
                             f"{f.size} generated scores and {real} real ones")
        return r


GAMES = {"minimax": Minimax(), "non-saturating": NonSaturating(), "least-squares": LeastSquares(),
         "hinge": Hinge(), "wasserstein": Wasserstein(), "relativistic": Relativistic()}


def game(name: str) -> Game:
    """The Game of that name; raises ValueError, with all names, for another."""
    return GAMES[one_of("game", "name", name, GAMES)]
