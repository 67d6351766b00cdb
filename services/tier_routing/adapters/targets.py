"""What the site's targets offer to a policy, and the policy that is checked against them."""

from pathlib import Path

from services.tier_routing.domain.policy import Offer, Policy
from services.tier_routing.domain.policy_file import read_policy
from shared.storage.targets import load_targets


def load_policy(policy: Path, targets: Path) -> Policy:
    """The policy of the site; DocumentRefused, with line numbers, when it is wrong."""
    offers = {
        name: Offer(name, target.jurisdiction, tuple(target.tiers), frozenset(target.forms))
        for name, target in load_targets(targets).items()
    }
    return read_policy(policy.read_text(), offers, policy.name)
