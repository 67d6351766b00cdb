"""``python -m cli.setup``: secrets made once, each container's folder with what it needs and nothing more."""

import base64
import json
import shutil
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.setup import vault
from cli.setup.__main__ import app
from cli.setup.certificates import Authority
from cli.setup.manifests import secrets
from cli.setup.rights import published
from cli.setup.vault import HOLDERS, SERVICES, SERVICES_WITH_SQL, Surroundings, Vault
from cli.site import Site
from contracts.events import BY_SUBJECT
from contracts.formats.keys import FileKeyEncryptionKeys
from shared.http.access import Tokens
from shared.identity import SiteKey
from tests.support.certificates import Authority as DicomAuthority
from tests.unit.deployment import house

AROUND = Surroundings(key_domains=("clinical",), projects=("research",))


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file below ``folder``."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The secrets of a site, for nobody to touch."""
    folder = tmp_path_factory.mktemp("vault")
    Vault(folder, AROUND).lay_out()
    return folder


@pytest.fixture
def laid_out(template: Path, tmp_path: Path) -> Path:
    """The secrets of a site."""
    return Path(shutil.copytree(template, tmp_path / "vault"))


def test_every_service_is_known() -> None:
    assert set(SERVICES) == set(house.SERVICES)
    assert set(SERVICES_WITH_SQL) == {
        name for name in house.SERVICES if "database_url" in house.settings_of(name).model_fields
    }


def test_a_second_run_changes_nothing(laid_out: Path) -> None:
    before = snapshot(laid_out)
    Vault(laid_out, AROUND).lay_out()
    assert snapshot(laid_out) == before


def test_what_was_lost_or_spoiled_is_laid_out_again_from_the_originals(laid_out: Path) -> None:
    before = snapshot(laid_out)
    (laid_out / "encryption" / "site.key").unlink()
    (laid_out / "nats" / "authorization.conf").write_text("anybody may do anything")
    Vault(laid_out, AROUND).lay_out()
    assert snapshot(laid_out) == before


def test_nothing_is_readable_by_others_but_what_the_database_server_reads_as_its_own_user(laid_out: Path) -> None:
    readable = {path.parent.name for path in laid_out.rglob("*") if path.is_file() and path.stat().st_mode & 0o077}
    assert readable == {"postgres"}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_gets_files_that_it_accepts(service: str, laid_out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = laid_out / vault.container(service)
    monkeypatch.setenv("CAUSEWAY_SECRETS_DIR", str(folder))
    settings = house.settings_of(service)()
    assert settings.nats_password is not None
    assert len(settings.nats_password.get_secret_value()) == 48
    if service in SERVICES_WITH_SQL:
        assert f"@postgres:5432/{service}" in settings.database_url  # type: ignore[attr-defined]
    assert SiteKey.load(folder / "site.key").token("any", "thing")
    assert Tokens.load(folder / "tokens")
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(folder / "tls.crt", folder / "tls.key")


def test_a_variable_goes_before_a_file_of_the_same_name(laid_out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAUSEWAY_SECRETS_DIR", str(laid_out / "catalog"))
    monkeypatch.setenv("CAUSEWAY_NATS_PASSWORD", "by hand")
    password = house.settings_of("catalog")().nats_password
    assert password is not None
    assert password.get_secret_value() == "by hand"


def test_no_service_sees_a_password_of_another(laid_out: Path) -> None:
    files = snapshot(laid_out)
    for kind in ("nats", "postgres"):
        for name in SERVICES:
            secret = files.get(f"authority/{kind}/{name}")
            if secret is None:
                continue
            readers = {path.split("/")[0] for path, content in files.items() if secret in content}
            assert readers <= {"authority", kind, vault.container(name)}


def test_only_those_who_touch_targets_hold_their_credentials(laid_out: Path) -> None:
    holders = {path.parent.name for path in laid_out.rglob("cloud-*.json")}
    assert holders == {"deid", "forwarding", "replication", "verification", "provision", "operator"}


def test_keys_are_made_in_the_form_that_their_users_read(laid_out: Path) -> None:
    keys = FileKeyEncryptionKeys(laid_out / "kek")
    kek_id, wrapped = keys.wrap("clinical", bytes(32))
    assert keys.unwrap("clinical", kek_id, wrapped) == bytes(32)
    assert len((laid_out / "projects" / "research.key").read_bytes()) == 32


def test_every_holder_of_a_token_is_known_by_name(laid_out: Path) -> None:
    tokens = Tokens.load(laid_out / "catalog" / "tokens")
    token = (laid_out / "operator" / "token").read_text()
    assert tokens.holder(f"Bearer {token}") == HOLDERS[0]
    assert tokens.holder("Bearer another") is None


def test_certificates_name_the_service_as_its_callers_do(laid_out: Path) -> None:
    authority = Authority(
        (laid_out / "authority" / "ca.crt").read_bytes(), (laid_out / "authority" / "ca.key").read_bytes()
    )
    names = ("tier-routing", "tier-routing.causeway", "tier-routing.causeway.svc")
    certificate = (laid_out / "tier-routing" / "tls.crt").read_bytes()
    assert authority.still_good(certificate, (*names, "tier-routing.causeway.svc.cluster.local"))
    assert not authority.still_good(certificate, names), "it names more than that"


def test_a_certificate_is_renewed_before_it_ends() -> None:
    authority = Authority.create("test")
    certificate, _ = authority.issue("router", ("router",))
    assert authority.still_good(certificate, ("router",))
    assert not authority.still_good(certificate, ("router",), now=datetime.now(UTC) + timedelta(days=350))
    assert not Authority.create("test").still_good(certificate, ("another",))


def test_credentials_of_a_real_cloud_survive_the_next_run(laid_out: Path) -> None:
    given = json.dumps({"access_key": "AKIA", "secret_key": "real"})
    assert CliRunner().invoke(app, ["credentials", "cloud-b", "--into", str(laid_out)], input=given).exit_code == 0
    assert CliRunner().invoke(app, ["secrets", "--into", str(laid_out)]).exit_code == 0
    for user in vault.TARGET_USERS:
        assert json.loads((laid_out / user / "cloud-b.json").read_text())["secret_key"] == "real"


def test_what_is_no_credentials_is_refused(laid_out: Path) -> None:
    result = CliRunner().invoke(app, ["credentials", "cloud-b", "--into", str(laid_out)], input='{"key": 1}')
    assert result.exit_code == 2


def pems(folder: Path, name: str = "authority") -> tuple[str, str, str]:
    """An authority, and a certificate of it with its key."""
    authority = DicomAuthority(folder, name)
    issued = authority.issue("causeway.hospital.example")
    return authority.path.read_text(), issued.certificate.read_text(), issued.key.read_text()


def give(command: str, into: Path, text: str) -> Result:
    return CliRunner().invoke(app, [command, "--into", str(into)], input=text)


WAYS = pytest.mark.parametrize(
    ("way", "called"), [("dicom", "dicom-ingest"), ("mllp", "hl7-fhir"), ("worklist", "hl7-fhir")]
)


@WAYS
def test_certificates_go_to_whom_others_call_and_stay(way: str, called: str, laid_out: Path, tmp_path: Path) -> None:
    authority, certificate, key = pems(tmp_path)
    assert give(f"{way}-certificate", laid_out, certificate + authority + key).exit_code == 0
    assert give(f"{way}-clients", laid_out, authority).exit_code == 0
    assert CliRunner().invoke(app, ["secrets", "--into", str(laid_out)]).exit_code == 0
    place = laid_out / called
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=place / f"{way}-clients.pem")
    context.load_cert_chain(place / f"{way}.pem", place / f"{way}.pem")
    assert {path.parent.name for path in laid_out.rglob(f"{way}*.pem")} == {called}
    assert (place / f"{way}.pem").stat().st_mode & 0o077 == 0


@WAYS
def test_what_could_not_serve_as_a_certificate_is_refused(
    way: str, called: str, laid_out: Path, tmp_path: Path
) -> None:
    authority, certificate, key = pems(tmp_path)
    other = pems(tmp_path, "other")[2]
    encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n"
    for text in ("", certificate, key, certificate + other, authority + certificate + key, certificate + encrypted):
        assert give(f"{way}-certificate", laid_out, text).exit_code == 2
    for text in ("", key, authority + key, "no PEM"):
        assert give(f"{way}-clients", laid_out, text).exit_code == 2
    assert not list((laid_out / called).glob(f"{way}*.pem"))


def test_originals_never_become_objects_of_a_cluster(laid_out: Path) -> None:
    objects = {found["metadata"]["name"]: found for found in secrets(laid_out, "causeway")}
    expected = {f"causeway-{house.container(name)}" for name in SERVICES}
    assert objects.keys() == expected | {
        f"causeway-{name}" for name in ("kek", "nats", "operator", "projects", "provision", "router")
    }
    held = {base64.b64decode(value) for found in objects.values() for value in found["data"].values()}
    assert (laid_out / "authority" / "ca.key").read_bytes() not in held
    with_stand_ins = {found["metadata"]["name"] for found in secrets(laid_out, "causeway", stand_ins=True)}
    assert with_stand_ins - objects.keys() == {"causeway-cloud-a", "causeway-cloud-b", "causeway-postgres"}


def test_the_operators_command_finds_the_site_and_what_it_wants_to_see(laid_out: Path) -> None:
    home = laid_out / "home"
    shutil.copytree(laid_out / "operator", home / "run")
    site = Site(home)
    assert site.endpoints()["http"] == "https://router:8443"
    access = site.access()
    assert (laid_out / "authority" / "tokens" / "operator").read_text() == access.token
    assert (laid_out / "authority" / "nats" / "operator").read_text() == access.bus_password
    assert access.bus_user == "operator"
    assert access.authority is not None
    assert ssl.create_default_context(cafile=access.authority)


def test_rights_on_the_bus_cover_every_event_once() -> None:
    said = [subject for subjects in published().values() for subject in subjects]
    assert sorted(said) == sorted(BY_SUBJECT)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("secrets", "--targets", "none.yaml"), "none.yaml cannot be read: No such file"),
        (("secrets", "--destinations", "none.yaml"), "none.yaml cannot be read: No such file"),
        (("secrets", "--targets", "wrong.yaml"), "wrong.yaml is refused: line 1"),
        (("kubernetes",), "none cannot be read: No such file"),
    ],
)
def test_a_file_or_folder_that_is_none_is_one_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], told: str
) -> None:
    """Without it a typing error would leave a target or a destination without its folder of secrets."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wrong.yaml").write_text("targets: []\n")
    answer = CliRunner().invoke(app, [*words, "--into", "none"])
    assert (answer.exit_code, answer.stdout, told in answer.stderr) == (2, "", True), answer.stderr
    assert not (tmp_path / "none").exists()
