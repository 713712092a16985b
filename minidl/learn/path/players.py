"""Two players: the costs of games, and penalties that are gradients themselves."""
from minidl import ops
from minidl.learn.domains import normal
from minidl.learn.path.chapter import Chapter, fault, misprint, program
from minidl.learn.source import Body, Returned
from minidl.learn.trials import Trial


def critic(game):
    return Trial(lambda m, real, fake: m.GAMES[game].discriminator(real, fake),
                 (normal(5), normal(5)), f"of the {game} critic")


def artist(game):
    return Trial(lambda m, fake, real: m.GAMES[game].generator(fake, real),
                 (normal(5), normal(5)), f"of the {game} artist")


def penalty(name, *settings):
    """Of the score Σ sin(x) w; its slope depends on w, too."""
    def call(m, x, y, w):
        def score(x):
            return ops.sum(ops.sin(x) * w, 1)
        if name == "r1":
            return m.r1(score, x, *settings)
        return m.gradient_penalty(score, x, y, *settings, rng=0)
    return Trial(call, (normal(4, 3), normal(4, 3), normal(3)), f"of {name}")


def cost(name, game, player, *trials, hints=()):
    """The cost of a player, a method of the game."""
    return program(name, f"gan.games:{game}.{player}", Body(), *trials, note=SCORES, hints=hints,
                   also=f"gan.games:{game}")


SCORES = "r are the critic's scores s(x) of real samples, f those of generated ones, s(G(z)); " \
         "give the cost, one number.  ops.mean is E."
LOGS = "−log σ(s) = softplus(−s) and −log(1 − σ(s)) = softplus(s)."

PLAYERS = Chapter("12. Two players", (
    cost("two-players", "Minimax", "critic", critic("minimax"), critic("non-saturating"),
         hints=("The cost is −E log σ(r) − E log(1 − σ(f)).", LOGS)),
    cost("minimax-artist", "Minimax", "artist", artist("minimax"),
         hints=("The artist makes E log(1 − σ(f)) small.", LOGS)),
    cost("non-saturating", "NonSaturating", "artist", artist("non-saturating"),
         hints=("It makes −E log σ(f) small.", LOGS)),
    misprint("wrong-player", "gan.games:NonSaturating.artist", "ops.softplus(-f)",
             "ops.softplus(f)", artist("non-saturating"), also="gan.games:NonSaturating"),
    cost("least-squares", "LeastSquares", "critic", critic("least-squares"),
         hints="½ E (r − 1)² + ½ E f²."),
    cost("hinge", "Hinge", "critic", critic("hinge"),
         hints="What is on the right side of 1 or −1 costs nothing."),
    cost("wasserstein", "Wasserstein", "critic", critic("wasserstein"),
         hints="It makes real scores high and generated ones low."),
    cost("relativistic", "Relativistic", "critic", critic("relativistic"),
         hints=("self.paired(r, f) is r, checked.", LOGS)),
    program("between", "gan.penalties:between", Returned(),
            Trial(lambda m, real, fake: m.between(real, fake, 0), (normal(4, 3), normal(4, 3)))),
    program("r1", "gan.penalties:r1", Body(), penalty("r1", 3.0),
            hints="slopes(score, x) gives the scores and each example's own gradient; "
                  "mean_square_length(g) is E |g|²."),
    program("gradient-penalty", "gan.penalties:gradient_penalty", Body("_, g ="),
            penalty("gradient_penalty", 10.0),
            hints="between(real, fake, rng) is x̂; lengths(g) are the |g|."),
    fault("penalty", "penalty_of_a_rule_outside_the_graph"),
    program("dirac", "gan.dirac:velocity", Body(),
            *(Trial(lambda m, theta, psi, _g=gamma: m.velocity(theta, psi, _g),
                    (normal(5), normal(5)), f"with γ = {gamma}", arrays=True)
              for gamma in (0.0, 0.7)),
            note="θ' = −ψ f'(ψ θ),  ψ' = θ f'(ψ θ) − γ ψ,  with f(t) = −log(1 + e^(−t)).",
            hints="f'(t) = σ(−t) = 1 / (1 + eᵗ) at t = ψ θ."),
))
