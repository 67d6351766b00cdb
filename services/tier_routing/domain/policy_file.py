"""Reads a policy file; refuses one that is wrong or leaves anything unprotected (docs/operations/policy.md)."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from contracts.events import PlannedCopy
from services.tier_routing.domain.matching import Age, Match
from services.tier_routing.domain.policy import (
    EITHER,
    CommitmentLimits,
    Offer,
    OverdueLimits,
    PackTimings,
    Policy,
    Rule,
    canonical_digest,
    default_commit_after,
    demand,
)
from shared.yaml_lines import DocumentRefused, LineReader, Node, SequenceNode, compose, line_of

_KEYS = ("format", "pack", "overdue", "commitment", "jurisdictions", "commit_after", "rules", "default")
_FORMAT = "causeway.policy/1"
_LISTS = ("modality", "body_part", "station_name", "source_ae", "order_priority")
_DEFAULT_DOMAIN = "clinical"
_LARGEST_PACK = 1024**3
_MOST_INSTANCES = 16384


@dataclass(frozen=True)
class _Placed:
    """A rule with the line it stands in."""

    rule: Rule
    line: int


def read_policy(text: str, offers: Mapping[str, Offer], source: str = "policy.yaml", on_site: str = "onsite") -> Policy:
    """The policy in ``text``, checked against the site's targets; DocumentRefused lists every problem by line."""
    root = compose(text, source)
    reader = _PolicyReader(offers, on_site)
    policy = reader.policy(root)
    if reader.problems:
        raise DocumentRefused(source, reader.problems)
    return policy


class _PolicyReader(LineReader):
    def __init__(self, offers: Mapping[str, Offer], on_site: str) -> None:
        super().__init__()
        self._offers = offers
        self._on_site = on_site
        self._jurisdictions: dict[str, tuple[str, ...]] = {}
        self._commit_after: tuple[tuple[str, ...], Node] | None = None

    def policy(self, root: Node) -> Policy:
        keys = self.mapping(root, "the policy", _KEYS, required=("format", "default"))
        if "format" in keys and self.text(keys["format"], "'format'") != _FORMAT:
            self.refuse(keys["format"], f"'format' must be {_FORMAT}")
        self._read_common(keys)
        placed = self._rules(keys)
        pack = self._pack(keys["pack"]) if "pack" in keys else PackTimings()
        overdue = self._overdue(keys["overdue"]) if "overdue" in keys else OverdueLimits()
        limits = self._commitment(keys["commitment"]) if "commitment" in keys else CommitmentLimits()
        rules = tuple(place.rule for place in placed)
        return Policy(rules=rules, digest=_digest(rules), pack=pack, overdue=overdue, commitment=limits)

    def _read_common(self, keys: Mapping[str, Node]) -> None:
        if "jurisdictions" in keys:
            lists = self.mapping(keys["jurisdictions"], "'jurisdictions'", ("identified", "deidentified"))
            self._jurisdictions = {form: self.texts(node, f"'{form}'") for form, node in lists.items()}
        if "commit_after" in keys:
            self._commit_after = (self._commits(keys["commit_after"]), keys["commit_after"])

    def _pack(self, node: Node) -> PackTimings:
        keys = self.mapping(node, "'pack'", ("size", "instances", "quiet", "recovery_point"))
        readers = {"size": self.size, "instances": self.count}
        given: dict[str, Any] = {key: readers.get(key, self.duration)(value, f"'{key}'") for key, value in keys.items()}
        timings = PackTimings(**given)
        if timings.instances > _MOST_INSTANCES:
            self.refuse(keys["instances"], f"'instances' may be {_MOST_INSTANCES} at most")
        if timings.size > _LARGEST_PACK:
            self.refuse(keys["size"], "'size' may be 1GiB at most")
        if timings.quiet > timings.recovery_point:
            self.refuse(node, "'quiet' is longer than 'recovery_point': it would never count")
        return timings

    def _overdue(self, node: Node) -> OverdueLimits:
        keys = self.mapping(node, "'overdue'", ("secured", "archived", "repeat", "longest"))
        limits = OverdueLimits(**{key: self.duration(value, f"'{key}'") for key, value in keys.items()})
        if limits.repeat > limits.longest:
            self.refuse(node, "'repeat' is longer than 'longest'")
        return limits

    def _commitment(self, node: Node) -> CommitmentLimits:
        keys = self.mapping(node, "'commitment'", ("wait", "secured"))
        limits = CommitmentLimits(**{key: self.duration(value, f"'{key}'") for key, value in keys.items()})
        if limits.wait > limits.secured:
            self.refuse(node, "'wait' is longer than 'secured'")
        return limits

    def _rules(self, keys: Mapping[str, Node]) -> list[_Placed]:
        nodes = self.sequence(keys["rules"], "'rules'") if "rules" in keys else []
        placed = [_Placed(self._rule(node), line_of(node)) for node in nodes]
        self._refuse_unreachable(placed)
        if "default" in keys:
            node = keys["default"]
            found = self.mapping(node, "the default rule", ("copies", "commit_after"), required=("copies",))
            placed.append(_Placed(self._with_copies("default", Match(), found, node), line_of(node)))
        return placed

    def _rule(self, node: Node) -> Rule:
        keys = self.mapping(
            node, "a rule", ("name", "match", "copies", "commit_after"), required=("name", "match", "copies")
        )
        name = self.name(keys["name"], "the name of a rule") if "name" in keys else "?"
        match = self._match(keys["match"], name) if "match" in keys else Match()
        return self._with_copies(name, match, keys, node)

    def _with_copies(self, name: str, match: Match, keys: Mapping[str, Node], node: Node) -> Rule:
        nodes = self.sequence(keys["copies"], f"the copies of rule '{name}'") if "copies" in keys else []
        copies = tuple(self._copy(item) for item in nodes)
        self._check_copies(name, copies, keys.get("copies", node))
        return Rule(name=name, match=match, copies=copies, commit_after=self._commit_of(name, copies, keys))

    def _match(self, node: Node, rule: str) -> Match:
        keys = self.mapping(node, f"the match of rule '{rule}'", (*_LISTS, "study_age"))
        if isinstance(node.value, list) and not node.value:
            self.refuse(node, f"rule '{rule}' has no condition: what is for all belongs to 'default'")
        lists: dict[str, Any] = {key: self.texts(keys[key], f"'{key}'") for key in _LISTS if key in keys}
        return Match(**lists, study_age=self._age(keys["study_age"]) if "study_age" in keys else None)

    def _age(self, node: Node) -> Age:
        keys = self.mapping(node, "'study_age'", ("over", "under"))
        days = {key: self.days(value, f"'{key}'") for key, value in keys.items()}
        if not days or days.get("under", 1 << 30) <= days.get("over", 0):
            self.refuse(node, "'study_age' needs 'over', 'under' or both, and no study has an age as given")
        return Age(**days)

    def _copy(self, node: Node) -> PlannedCopy:
        known = ("form", "target", "tier", "key_domain", "retention", "project")
        keys = self.mapping(node, "a copy", known, required=("form", "target"))
        form = self._form(keys.get("form"))
        target = self.text(keys["target"], "'target'") if "target" in keys else ""
        project = self._project(form, keys, node)
        domain = self.name(keys["key_domain"], "'key_domain'") if "key_domain" in keys else project or _DEFAULT_DOMAIN
        copy = PlannedCopy(
            form=form,
            target=target,
            tier=self._tier(keys, target, node),
            key_domain=domain,
            retention_days=self.days(keys["retention"], "'retention'") if "retention" in keys else None,
            project=project,
        )
        self._check_offer(copy, keys)
        return copy

    def _form(self, node: Node | None) -> Any:
        form = self.text(node, "'form'") if node else "identified"
        if form not in ("identified", "deidentified"):
            self.refuse(node or 1, f"unknown form '{form}'; known: identified, deidentified")
            return "identified"
        return form

    def _project(self, form: str, keys: Mapping[str, Node], node: Node) -> str | None:
        if form == "deidentified" and "project" not in keys:
            self.refuse(node, "a de-identified copy needs a 'project', whose key replaces its identities")
        if form == "identified" and "project" in keys:
            self.refuse(keys["project"], "an identified copy has no 'project'")
        return self.name(keys["project"], "'project'") if form == "deidentified" and "project" in keys else None

    def _tier(self, keys: Mapping[str, Node], target: str, node: Node) -> str:
        if "tier" in keys:
            return self.text(keys["tier"], "'tier'")
        offer = self._offers.get(target)
        if offer and len(offer.tiers) != 1:
            self.refuse(node, f"'tier' is needed: target '{target}' has {', '.join(offer.tiers)}")
        return offer.tiers[0] if offer and offer.tiers else ""

    def _check_offer(self, copy: PlannedCopy, keys: Mapping[str, Node]) -> None:
        offer = self._offers.get(copy.target)
        if offer is None:
            if "target" in keys:
                self.refuse(keys["target"], f"unknown target '{copy.target}'; known: {', '.join(sorted(self._offers))}")
            return
        if "tier" in keys and copy.tier not in offer.tiers:
            self.refuse(
                keys["tier"], f"target '{offer.name}' has no tier '{copy.tier}'; it has {', '.join(offer.tiers)}"
            )
        if copy.form not in offer.forms:
            self.refuse(keys["target"], f"target '{offer.name}' does not allow {copy.form} copies")
        allowed = self._jurisdictions.get(copy.form)
        if allowed is not None and offer.jurisdiction not in allowed:
            self.refuse(keys["target"], f"{copy.form} copies may not rest in {offer.jurisdiction or 'no jurisdiction'}")

    def _check_copies(self, name: str, copies: tuple[PlannedCopy, ...], node: Node) -> None:
        if not any(copy.form == "identified" and copy.retention_days is None for copy in copies):
            self.refuse(node, f"rule '{name}' has no identified resting copy: one that is kept without 'retention'")
        if any(_same_place(one, other) for one, other in combinations(copies, 2)):
            self.refuse(node, f"rule '{name}' names the same form, target and project twice")
        domains = {
            form: {copy.key_domain for copy in copies if copy.form == form} for form in ("identified", "deidentified")
        }
        for domain in sorted(domains["identified"] & domains["deidentified"]):
            self.refuse(node, f"rule '{name}' uses key domain '{domain}' for both forms: they may share no key")

    def _commits(self, node: Node) -> tuple[str, ...]:
        items = self.sequence(node, "'commit_after'")
        return tuple(
            EITHER.join(self.texts(item, "'commit_after'"))
            if isinstance(item, SequenceNode)
            else self.text(item, "'commit_after'")
            for item in items
        )

    def _commit_of(self, rule: str, copies: tuple[PlannedCopy, ...], keys: Mapping[str, Node]) -> tuple[str, ...]:
        own = (self._commits(keys["commit_after"]), keys["commit_after"]) if "commit_after" in keys else None
        given = own or self._commit_after
        if given is None:
            return default_commit_after(copies, self._on_site)
        identified = {copy.target for copy in copies if copy.form == "identified"}
        for target in (target for item in given[0] for target in item.split(EITHER)):
            if target not in identified:
                self.refuse(given[1], f"'commit_after' names '{target}', where rule '{rule}' puts no identified copy")
        return given[0]

    def _refuse_unreachable(self, placed: list[_Placed]) -> None:
        for later, place in enumerate(placed):
            hiding = next((other for other in placed[:later] if other.rule.match.covers(place.rule.match)), None)
            if hiding:
                taker = f"rule '{hiding.rule.name}' (line {hiding.line})"
                self.refuse(place.line, f"rule '{place.rule.name}' is never reached: {taker} takes all that it would")
            if any(other.rule.name == place.rule.name for other in placed[:later]) or place.rule.name == "default":
                self.refuse(place.line, f"there is another rule named '{place.rule.name}'")


def _same_place(one: PlannedCopy, other: PlannedCopy) -> bool:
    return (one.form, one.target, one.project) == (other.form, other.target, other.project)


def _domains(copies: tuple[PlannedCopy, ...], form: str) -> set[str]:
    return {copy.key_domain for copy in copies if copy.form == form}


def _digest(rules: tuple[Rule, ...]) -> str:
    """The digest of what the rules say: comments, order of keys and timings do not change it."""
    return canonical_digest({"format": _FORMAT, "rules": [_rule_document(rule) for rule in rules]})


def _rule_document(rule: Rule) -> dict[str, object]:
    match = {key: sorted(getattr(rule.match, key)) for key in _LISTS}
    age = rule.match.study_age
    return {
        "name": rule.name,
        "match": {**match, "study_age": [age.over, age.under] if age else None},
        "copies": [demand(copy) for copy in rule.copies],
        "commit_after": list(rule.commit_after),
    }
