"""A policy file is read as it is meant, and refused, line by line, where it is wrong."""

from datetime import timedelta
from pathlib import Path

import pytest

from services.tier_routing.domain.policy import Offer
from services.tier_routing.domain.policy_file import read_policy
from shared.yaml_lines import DocumentRefused
from tests.unit.tier_routing.makers import OFFERS, POLICY, policy

SAMPLE = Path(__file__).parents[3] / "examples" / "policy.yaml"

HEAD = "format: causeway.policy/1\n"
DEFAULT = "default:\n  copies:\n    - {form: identified, target: onsite}\n"


def problems(text: str) -> list[str]:
    with pytest.raises(DocumentRefused) as refused:
        read_policy(text, OFFERS)
    return [f"{problem.line}: {problem.text}" for problem in refused.value.problems]


def one_problem(text: str, line: int, words: str) -> None:
    found = problems(text)
    assert len(found) == 1, found
    assert found[0].startswith(f"{line}: ")
    assert words in found[0]


def rules(*items: str) -> str:
    return HEAD + "rules:\n" + "".join(f"  - {item}\n" for item in items) + DEFAULT


def test_the_sample_policy_is_accepted_by_a_site_with_its_targets():
    everything = frozenset({"identified", "deidentified"})
    offers = {name: Offer(name, "x", ("hot",), everything) for name in ("onsite", "cloud-a", "cloud-b")}
    read = read_policy(SAMPLE.read_text(), offers)
    assert [rule.name for rule in read.rules][-1] == "default"
    assert read.rules[-1].commit_after == ("onsite", "cloud-a|cloud-b")


def test_timings_and_limits_are_read_in_their_units():
    read = policy()
    assert (read.pack.size, read.pack.quiet) == (1024, timedelta(seconds=10))
    assert read.overdue.longest == timedelta(minutes=10)


def test_what_is_left_out_has_a_default():
    read = policy(HEAD + DEFAULT)
    assert (read.pack.size, read.pack.instances) == (64 * 1024 * 1024, 2048)
    only = read.rules[0].copies[0]
    assert (only.tier, only.key_domain, only.retention_days, only.project) == ("hot", "clinical", None, None)


def test_the_number_of_instances_in_a_pack_is_a_setting():
    assert policy(HEAD + "pack: {instances: 5}\n" + DEFAULT).pack.instances == 5
    one_problem(HEAD + "pack: {instances: 0}\n" + DEFAULT, 2, "must be a whole number, at least 1")
    one_problem(HEAD + "pack: {instances: 16385}\n" + DEFAULT, 2, "may be 16384 at most")


def test_a_deidentified_copy_has_its_projects_key_domain_unless_told_otherwise():
    assert policy().rules[-1].copies[-1].key_domain == "research"


def test_without_commit_after_the_site_and_any_one_cloud_secure_a_batch():
    assert policy().rules[-1].commit_after == ("onsite", "cloud-a|cloud-b")
    assert policy().rules[0].commit_after == ("onsite",)


def test_without_a_copy_on_site_any_one_cloud_secures_a_batch():
    copies = ", ".join(f"{{form: identified, target: {name}, tier: hot}}" for name in ("cloud-b", "cloud-a"))
    assert policy(f"{HEAD}default: {{copies: [{copies}]}}").rules[0].commit_after == ("cloud-a|cloud-b",)


def test_a_rule_may_have_a_commit_after_of_its_own():
    text = HEAD + "commit_after: [onsite]\n" + DEFAULT + "  commit_after: [[onsite]]\n"
    assert policy(text).rules[0].commit_after == ("onsite",)


def test_comments_order_of_keys_and_timings_leave_the_digest_alone():
    other = POLICY.replace("quiet: 10s", "quiet: 11s").replace(
        "form: identified, target: onsite", "target: onsite, form: identified"
    )
    assert policy("# a comment\n" + other).digest == policy().digest


def test_another_copy_makes_another_digest():
    assert (
        policy(POLICY.replace("target: cloud-b, tier: hot}", "target: cloud-b, tier: cold}")).digest != policy().digest
    )


def test_a_policy_without_default_is_refused():
    one_problem(HEAD, 1, "the policy has no 'default'")


def test_another_format_is_refused():
    one_problem("format: causeway.policy/9\n" + DEFAULT, 1, "must be causeway.policy/1")


def test_what_is_not_yaml_is_refused_with_its_line():
    one_problem(HEAD + "rules: [\n", 3, "not YAML")
    one_problem(HEAD + "rules: \0\n" + DEFAULT, 2, "not YAML")


def test_an_empty_document_is_refused():
    one_problem("# nothing\n", 1, "empty")


def test_an_unknown_key_is_refused_with_a_proposal():
    one_problem(HEAD + "pak: {size: 1MiB}\n" + DEFAULT, 2, "did you mean 'pack'?")


def test_a_key_that_stands_twice_is_refused():
    one_problem(HEAD + DEFAULT + DEFAULT, 5, "'default' stands twice")


@pytest.mark.parametrize("size", ["64", "64MiB", "0.5GiB", "1000kB"])
def test_sizes_are_accepted_in_their_units(size: str):
    assert policy(f"{HEAD}pack: {{size: {size}}}\n{DEFAULT}").pack.size > 0


@pytest.mark.parametrize(("line", "words"), [
    ("pack: {size: much}", "must be a size"),
    ("pack: {size: 2GiB}", "1GiB at most"),
    ("pack: {quiet: 5}", "must be a time"),
    ("pack: {quiet: 2m, recovery_point: 1m}", "longer than 'recovery_point'"),
    ("overdue: {repeat: 2d}", "longer than 'longest'"),
    ("pack: fast", "must be a mapping"),
    ("commit_after: []", "at least one item"),
])  # fmt: skip
def test_a_wrong_setting_is_refused_where_it_stands(line: str, words: str):
    one_problem(f"{HEAD}{line}\n{DEFAULT}", 2, words)


@pytest.mark.parametrize(("copy", "words"), [
    ("{form: identified, target: cloud-z}", "unknown target 'cloud-z'; known: cloud-a, cloud-b, onsite"),
    ("{form: identified, target: cloud-a}", "'tier' is needed: target 'cloud-a' has hot, cold"),
    ("{form: identified, target: cloud-a, tier: warm}", "has no tier 'warm'; it has hot, cold"),
    ("{form: pseudonymised, target: cloud-a, tier: hot}", "unknown form 'pseudonymised'"),
    ("{form: deidentified, target: cloud-a, tier: hot}", "needs a 'project'"),
    ("{form: deidentified, target: onsite, project: x}", "does not allow deidentified copies"),
    ("{form: identified, target: cloud-a, tier: hot, project: x}", "has no 'project'"),
    ("{form: deidentified, target: cloud-a, tier: hot, project: a/b}", "letters, digits"),
    ("{form: identified, target: cloud-a, tier: hot, retention: 12h}", "whole days"),
    ("{form: identified, target: cloud-a, tier: hot, teir: hot}", "did you mean 'tier'?"),
    ("{target: cloud-a, tier: hot}", "a copy has no 'form'"),
    ("{form: identified, target: onsite, key_domain: other}", "the same form, target and project twice"),
    ("{form: deidentified, target: cloud-a, tier: hot, project: x, key_domain: clinical}", "may share no key"),
])  # fmt: skip
def test_a_wrong_copy_is_refused(copy: str, words: str):
    found = problems(f"{HEAD}default:\n  copies:\n    - {{form: identified, target: onsite}}\n    - {copy}\n")
    assert any(words in problem for problem in found), found
    assert all(int(problem.split(":")[0]) in (4, 5) for problem in found)


def test_a_rule_whose_identified_copies_all_end_is_refused():
    text = HEAD + "default:\n  copies:\n    - {form: identified, target: onsite, retention: 30d}\n"
    one_problem(text, 4, "no identified resting copy")


def test_a_rule_with_deidentified_copies_alone_is_refused():
    text = HEAD + "default:\n  copies:\n    - {form: deidentified, target: cloud-a, tier: hot, project: x}\n"
    one_problem(text, 4, "no identified resting copy")


def test_a_form_may_not_rest_in_a_jurisdiction_that_policy_excludes():
    text = (
        HEAD
        + "jurisdictions: {identified: [DE]}\n"
        + DEFAULT
        + "    - {form: identified, target: cloud-b, tier: hot}\n"
    )
    one_problem(text, 6, "identified copies may not rest in US")


def test_commit_after_may_not_name_a_target_without_an_identified_copy():
    text = HEAD + "commit_after: [onsite, cloud-a]\n" + DEFAULT
    one_problem(text, 2, "'commit_after' names 'cloud-a', where rule 'default' puts no identified copy")


COPIES = "copies: [{form: identified, target: onsite}]"


@pytest.mark.parametrize(("first", "second"), [
    ("{modality: [CT, MR]}", "{modality: [CT]}"),
    ("{modality: ['*']}", "{modality: [CT], body_part: [HEAD]}"),
    ("{source_ae: ['CT*']}", "{source_ae: ['ct1?']}"),
    ("{study_age: {over: 1y}}", "{study_age: {over: 2y, under: 3y}}"),
])  # fmt: skip
def test_a_rule_that_an_earlier_one_hides_is_refused(first: str, second: str):
    text = rules(f"{{name: one, match: {first}, {COPIES}}}", f"{{name: two, match: {second}, {COPIES}}}")
    one_problem(text, 4, "rule 'two' is never reached: rule 'one' (line 3)")


@pytest.mark.parametrize(("first", "second"), [
    ("{modality: [CT]}", "{modality: [CT, MR]}"),
    ("{modality: [CT], body_part: [HEAD]}", "{modality: [CT]}"),
    ("{source_ae: ['CT?']}", "{source_ae: ['CT*']}"),
    ("{study_age: {over: 2y}}", "{study_age: {over: 1y}}"),
    ("{study_age: {over: 2y}}", "{modality: [CT]}"),
])  # fmt: skip
def test_a_rule_that_is_wider_than_the_earlier_one_is_accepted(first: str, second: str):
    read = policy(rules(f"{{name: one, match: {first}, {COPIES}}}", f"{{name: two, match: {second}, {COPIES}}}"))
    assert [rule.name for rule in read.rules] == ["one", "two", "default"]


def test_a_rule_without_condition_is_refused():
    found = problems(rules(f"{{name: all, match: {{}}, {COPIES}}}"))
    assert "3: rule 'all' has no condition: what is for all belongs to 'default'" in found


def test_two_rules_of_one_name_are_refused():
    text = rules(
        f"{{name: one, match: {{modality: CT}}, {COPIES}}}", f"{{name: one, match: {{modality: MR}}, {COPIES}}}"
    )
    one_problem(text, 4, "another rule named 'one'")


def test_an_age_that_no_study_has_is_refused():
    one_problem(
        rules(f"{{name: one, match: {{study_age: {{over: 2y, under: 1y}}}}, {COPIES}}}"), 3, "no study has an age"
    )


def test_all_problems_are_told_at_once_in_the_order_of_their_lines():
    found = problems("format: x\npak: 1\n" + DEFAULT.replace("onsite", "nowhere"))
    assert [int(problem.split(":")[0]) for problem in found] == [1, 2, 5]
    assert "nowhere" in found[2]


def test_a_refusal_reads_like_a_compiler_message():
    with pytest.raises(DocumentRefused, match=r"^tiers\.yaml:1: the policy has no 'default'$"):
        read_policy(HEAD, OFFERS, "tiers.yaml")
