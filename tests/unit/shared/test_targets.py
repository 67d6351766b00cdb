"""targets.yaml: what is right is read, what is wrong is told with its line."""

import json
from pathlib import Path

import pytest

from shared.storage import FilesystemStore, ObjectStore
from shared.storage.targets import TargetsRefused, load_targets, open_key_bucket, open_target, parse_targets

GOOD = """\
targets:
  onsite:
    kind: filesystem
    url: file:///var/lib/causeway/onsite
    jurisdiction: site
    forms: [identified]
  cloud-a:
    kind: s3
    endpoint: http://127.0.0.1:8333
    bucket: causeway-a
    region: us-east-1
    jurisdiction: eu
    tiers: {hot: STANDARD, cold: DEEP_ARCHIVE}
    forms: [identified, deidentified]
    credentials_env: CLOUD_A
    prices: {hot: 0.023}
"""


def refused(text: str) -> tuple[str, ...]:
    with pytest.raises(TargetsRefused) as caught:
        parse_targets(text)
    return caught.value.problems


def test_reads_targets_by_name():
    """Each target has its settings, and the tier `hot` where none is named."""
    targets = parse_targets(GOOD)
    assert list(targets) == ["onsite", "cloud-a"]
    assert targets["onsite"].tiers == {"hot": "STANDARD"}
    assert targets["cloud-a"].forms == ("identified", "deidentified")
    assert targets["cloud-a"].key_bucket == "causeway-a-keys"


def test_the_outer_key_may_be_left_out():
    """A file that is the mapping itself is read alike."""
    inner = "\n".join(line[2:] for line in GOOD.splitlines()[1:])
    assert parse_targets(inner) == parse_targets(GOOD)


@pytest.mark.parametrize(
    ("old", "new", "line", "word"),
    [
        ("kind: s3", "kind: tape", 8, "kind"),
        ("    kind: s3\n", "", 7, "kind"),
        ("bucket: causeway-a", "bucket: Causeway_A", 10, "bucket"),
        ("    bucket: causeway-a\n", "", 7, "bucket"),
        ("    url: file:///var/lib/causeway/onsite\n", "", 2, "url"),
        ("file:///var/lib/causeway/onsite", "/var/lib/causeway/onsite", 4, "url"),
        ("endpoint: http://127.0.0.1:8333", "endpoint: 127.0.0.1:8333", 9, "endpoint"),
        ("[identified, deidentified]", "[identified, pseudonymous]", 14, "forms"),
        ("[identified, deidentified]", "[]", 14, "forms"),
        ("    jurisdiction: eu\n", "", 7, "jurisdiction"),
        ("region: us-east-1", "regoin: us-east-1", 11, "regoin"),
        ("prices: {hot: 0.023}", "prices: {hot: -1}", 16, "prices"),
        ("prices: {hot: 0.023}", "prices: {warm: 1}", 7, "prices"),
        ("credentials_env: CLOUD_A", "credentials_env: cloud-a", 15, "credentials_env"),
        ("prices: {hot: 0.023}", "credentials_file: /x", 7, "exclude each other"),
        ("  cloud-a:", "  Cloud A:", 7, "name"),
        ("  cloud-a:", "  onsite:", 7, "twice"),
        ("bucket: causeway-a", "bucket: causeway-a\n    bucket: causeway-b", 11, "twice"),
        ("kind: s3", "kind: [s3", 9, "YAML"),
        ("region: us-east-1", "region: us-east-1\0", 11, "YAML"),
    ],
)
def test_tells_the_line_of_what_is_wrong(old, new, line, word):
    """The first problem starts with its line, counted from 1, and names the setting."""
    assert old in GOOD
    problem = refused(GOOD.replace(old, new))[0]
    assert problem.startswith(f"line {line}: "), problem
    assert word in problem


def test_tells_all_problems_at_once():
    """An operator mends a file in one round."""
    problems = refused(GOOD.replace("kind: s3", "kind: tape").replace("jurisdiction: site", "jurisdiction: 1"))
    assert [problem.split(":")[0] for problem in problems] == ["line 5", "line 8"]


@pytest.mark.parametrize("text", ["", "[]", "targets:", "targets: []", "targets: {}", "just words"])
def test_refuses_what_names_no_target(text):
    """An empty file, a list or a word is no set of targets."""
    assert refused(text)


def test_two_names_for_one_place_are_refused():
    """Two copies in one bucket are one copy: policy must not take them for two."""
    again = GOOD.split("  cloud-a:\n")[1]
    (problem,) = refused(f"{GOOD}  cloud-b:\n{again}")
    assert problem.startswith("line 17: ")
    assert "same place" in problem


def test_a_problem_does_not_repeat_a_secret():
    """What was written wrongly is not printed back: it may be a credential."""
    assert "hunter2" not in str(refused(GOOD.replace("credentials_env: CLOUD_A", "credentials_env: hunter2")))


def test_opens_data_and_keys_apart(monkeypatch, tmp_path):
    """A folder and a bucket each have a second place for key objects."""
    monkeypatch.setenv("CLOUD_A_ACCESS_KEY", "key")
    monkeypatch.setenv("CLOUD_A_SECRET_KEY", "secret")
    targets = parse_targets(GOOD.replace("/var/lib/causeway", str(tmp_path)))
    for opened in (open_target(targets["onsite"]), open_key_bucket(targets["onsite"])):
        assert isinstance(opened, FilesystemStore)
    for opened in (open_target(targets["cloud-a"], "cold"), open_key_bucket(targets["cloud-a"])):
        assert isinstance(opened, ObjectStore)
    with pytest.raises(KeyError):
        open_target(targets["cloud-a"], "warm")


def test_credentials_come_from_a_file(tmp_path: Path):
    """A credentials file is read when the store is opened, and never shown."""
    path = tmp_path / "cloud-a.json"
    path.write_text(json.dumps({"access_key": "key", "secret_key": "hunter2"}))
    path.chmod(0o600)
    target = parse_targets(GOOD.replace("credentials_env: CLOUD_A", f"credentials_file: {path}"))["cloud-a"]
    credentials = target.credentials()
    assert (credentials.access, credentials.secret) == ("key", "hunter2")
    assert "hunter2" not in repr(credentials)
    path.chmod(0o644)
    with pytest.raises(ValueError, match="others"):
        target.credentials()
    path.chmod(0o600)
    path.write_text("key=hunter2")
    with pytest.raises(ValueError, match="JSON") as caught:
        target.credentials()
    assert "hunter2" not in str(caught.value)


def test_reads_a_file(tmp_path: Path):
    """load_targets reads what parse_targets does."""
    path = tmp_path / "targets.yaml"
    path.write_text(GOOD)
    assert load_targets(path) == parse_targets(GOOD)
