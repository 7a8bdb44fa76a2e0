"""Chooses a network among several, each with its best plan within a budget."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence

from ml_collections import ConfigDict

from tinytl_tf.backbones.builder import canonical_name
from tinytl_tf.backbones.sources import is_source
from tinytl_tf.errors import InputError
from tinytl_tf.planning.account import Account, Needs
from tinytl_tf.planning.planner import NothingFits, Outcome, Planner

__all__ = ["Candidate", "Choice", "choose_network", "read_candidates"]

_WHOLE = ("file:", "module:")
_FORMAT = 'write "mobilenet_v2", "mobilenet_v2@0.35" for a width, or "mobilenet_v2@0.35=FILE" for weights'


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A network to try.

    Attributes:
        name: name of the network; see `build`.
        width: multiplier for the number of channels.
        weights: `"imagenet"`, or the path of a weight file.
    """

    name: str
    width: float = 1.0
    weights: str = "imagenet"

    def __str__(self) -> str:
        return self.name if self.width == 1 else f"{self.name}@{self.width:g}"

    def configure(self, config: ConfigDict) -> ConfigDict:
        """Returns a copy of a configuration with this network.

        The preprocessing of the configuration is kept for networks from files and functions only, since all others have
        their own.
        """
        result = config.copy_and_resolve_references()
        with result.unlocked():
            result.backbone.update(name=self.name, width=self.width, weights=self.weights)
            if not is_source(self.name):
                result.backbone.preprocess_input = ""
        return result.lock()


@dataclasses.dataclass(frozen=True)
class Choice:
    """The network that was chosen, and how the others did.

    Attributes:
        candidate: the chosen network.
        outcomes: the best plan of each network that fits the budget, in the order in which they were given.
        misfits: for each other network, a message that says by how much its smallest plan exceeds the budget.
    """

    candidate: Candidate
    outcomes: Mapping[Candidate, Outcome]
    misfits: Mapping[Candidate, str]

    @property
    def outcome(self) -> Outcome:
        """The plan of the chosen network."""
        return self.outcomes[self.candidate]


def read_candidates(entries: Iterable[str], config: ConfigDict) -> tuple[Candidate, ...]:
    """Returns the networks of entries of the form `name[@width][=weights]`.

    An entry with the name of the configuration's network has its width and weights, unless the entry sets them. All
    others have width 1 and ImageNet weights by default.

    Args:
        entries: for example `"mobilenet_v2"`, `"mobilenet_v2@0.35=FILE"` or `"file:my.keras"`.
        config: the configuration.

    Raises:
        InputError: if an entry has another form; or if a network occurs twice.

    Example:
        >>> from tinytl_tf.configs import default
        >>> read_candidates(["mobilenet_v2@0.35=w.h5"], default.get_config())
        (Candidate(name='mobilenet_v2', width=0.35, weights='w.h5'),)
    """
    candidates: list[Candidate] = []
    for entry in entries:
        # The path of a file or function may have these signs, and its network has its own width and weights.
        network, has_weights, weights = (entry, "", "") if entry.startswith(_WHOLE) else entry.partition("=")
        name, has_width, width = (network, "", "") if entry.startswith(_WHOLE) else network.partition("@")
        if not name or has_weights and not weights or has_width and not _is_width(width):
            raise InputError(f"expected the name of a network, got {entry!r:.80}; {_FORMAT}")
        name = canonical_name(name)
        is_own = name == canonical_name(config.backbone.name)
        own = Candidate(name, config.backbone.width, config.backbone.weights) if is_own else Candidate(name)
        changes = {"width": float(width)} if has_width else {}
        changes |= {"weights": weights} if has_weights else {}
        candidates.append(dataclasses.replace(own, **changes))
    repeated = next((str(one) for one in candidates if [str(other) for other in candidates].count(str(one)) > 1), None)
    if repeated:
        raise InputError(f"expected each network once, got {repeated} twice; leave one entry out")
    return tuple(candidates)


def choose_network(
    candidates: Sequence[Candidate],
    config: ConfigDict,
    account: Account,
    *,
    resolutions: Sequence[int],
    budget: Needs,
    say: Callable[[str], None] = print,
) -> Choice:
    """Finds the best plan of each network, and chooses the network with the lowest loss.

    The loss is that on held-out training images after a short training of the plan; see `Probe`. All networks see the
    same images.

    Args:
        candidates: the networks.
        config: configuration with the data; its network, scheme and places are ignored.
        account: creates the files and computes their needs.
        resolutions: heights and widths of images to choose from, in pixels.
        budget: bytes of each resource of the account.
        say: prints a progress message.

    Raises:
        NothingFits: if no network has a plan that fits, with the needs of each network's smallest plan.
        InputError: if a network cannot be built.

    Example:
        >>> candidates = read_candidates(["mobilenet_v2", "efficientnet_lite0"], config)  # doctest: +SKIP
        >>> budget = {"growth": 16_000_000}  # doctest: +SKIP
        >>> choice = choose_network(
        ...     candidates, config, GrowthAccount(), resolutions=[96], budget=budget
        ... )  # doctest: +SKIP
        >>> choice.outcome.config.backbone.name  # doctest: +SKIP
        'efficientnet_lite0'
    """
    planners = {}
    for candidate in candidates:  # builds each network, so that one that cannot be built is told before the work
        say(f"network {candidate}")
        planners[candidate] = Planner(candidate.configure(config), account, resolutions=resolutions, say=say)
    outcomes: dict[Candidate, Outcome] = {}
    misfits: dict[Candidate, str] = {}
    for candidate in candidates:
        say(f"network {candidate}")
        try:
            outcomes[candidate] = planners.pop(candidate).find(budget)
        except NothingFits as error:
            say(f"  {error}")
            misfits[candidate] = str(error)
    if not outcomes:
        raise NothingFits("; ".join(f"{candidate}: {message}" for candidate, message in misfits.items()))
    return Choice(min(outcomes, key=lambda candidate: outcomes[candidate].loss), outcomes, misfits)


def _is_width(text: str) -> bool:
    try:
        return 0 < float(text) < float("inf")
    except ValueError:
        return False
