"""docker-compose.yml and the Dockerfiles agree with the packages and keep to the rules of docs/containers.md."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKERS = ("vad", "stt", "llm", "tts")
SERVICES = ("gateway", *WORKERS)
DOCKERFILES = {name: ROOT / "services" / name / "Dockerfile" for name in SERVICES} | {
    "nats": ROOT / "deploy" / "nats" / "Dockerfile"
}


def compose() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def instructions(name: str) -> list[tuple[str, str]]:
    """Keyword and arguments of each instruction; lines that go on are joined, comments left out."""
    text = "\n".join(line for line in DOCKERFILES[name].read_text().splitlines() if not line.lstrip().startswith("#"))
    joined = text.replace("\\\n", " ")
    return [
        (word.upper(), rest.strip()) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)
    ]


def last_stage(name: str) -> list[tuple[str, str]]:
    steps = instructions(name)
    return steps[max(at for at, (word, _) in enumerate(steps) if word == "FROM") :]


def test_compose_runs_the_broker_and_the_five_services() -> None:
    assert set(compose()["services"]) == {"nats", *SERVICES}


@pytest.mark.parametrize("name", sorted(DOCKERFILES))
def test_compose_builds_each_from_its_dockerfile(name: str) -> None:
    build = compose()["services"][name]["build"]
    context, dockerfile = (build, "Dockerfile") if isinstance(build, str) else (build["context"], build["dockerfile"])
    assert ROOT / context / dockerfile == DOCKERFILES[name]
    assert DOCKERFILES[name].is_file()


@pytest.mark.parametrize("name", sorted(DOCKERFILES))
def test_compose_takes_every_right_away(name: str) -> None:
    service = compose()["services"][name]
    assert service["cap_drop"] == ["ALL"]
    assert service["read_only"] is True
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_can_be_started_several_times(name: str) -> None:
    assert not {"container_name", "ports", "network_mode", "hostname"} & set(compose()["services"][name])


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_given_time_to_drain(name: str) -> None:
    service = compose()["services"][name]
    assert service["stop_grace_period"] == "35s"
    assert ("STOPSIGNAL", "SIGTERM") in last_stage(name)


def test_the_broker_is_published_on_loopback_only() -> None:
    assert all(port.startswith("127.0.0.1:") for port in compose()["services"]["nats"]["ports"])


def test_what_compose_hands_on_is_named_in_the_example() -> None:
    example = set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    handed_on = {variable for name in SERVICES for variable in compose()["services"][name]["environment"]}
    assert handed_on <= example


def test_keys_go_to_the_stages_that_use_them_and_to_no_other() -> None:
    keys = {
        name: {
            variable.partition("_")[0]
            for variable in compose()["services"][name]["environment"]
            if "_API_KEY" in variable
        }
        for name in SERVICES
    }
    assert keys == {
        "gateway": set(),
        "vad": set(),
        "stt": {"DEEPGRAM", "GLADIA", "OPENAI"},
        "llm": {"OPENAI"},
        "tts": {"DEEPGRAM", "ELEVENLABS", "OPENAI"},
    }
    for name in SERVICES:
        environment = compose()["services"][name]["environment"]
        assert all(environment[variable] is None for variable in environment if "_API_KEY" in variable), name


@pytest.mark.parametrize("name", sorted(DOCKERFILES))
def test_bases_are_exact_versions(name: str) -> None:
    steps = instructions(name)
    stages = {rest.split()[-1] for word, rest in steps if word == "FROM" and " AS " in rest}
    bases = {rest.split()[0] for word, rest in steps if word == "FROM"}
    copied_from = {found for word, rest in steps if word == "COPY" for found in re.findall(r"--from=(\S+)", rest)}
    for image in bases | (copied_from - stages):
        assert re.fullmatch(r"[a-z]+:\d[\w.-]*", image), image


@pytest.mark.parametrize("name", sorted(DOCKERFILES))
def test_the_image_runs_as_a_user_without_rights_and_tells_its_health(name: str) -> None:
    steps = last_stage(name)
    users = [rest for word, rest in steps if word == "USER"]
    assert users == ["10001:10001"]
    assert any(word == "HEALTHCHECK" and "CMD" in rest for word, rest in steps)


@pytest.mark.parametrize("name", SERVICES)
def test_the_image_starts_the_console_script_of_its_package(name: str) -> None:
    scripts = tomllib.loads((ROOT / "services" / name / "pyproject.toml").read_text())["project"]["scripts"]
    entrypoints = [rest for word, rest in last_stage(name) if word == "ENTRYPOINT"]
    assert entrypoints == [f'["natter-{name}"]']
    assert f"natter-{name}" in scripts


@pytest.mark.parametrize("name", SERVICES)
def test_the_image_has_its_own_package_from_the_lock_and_no_uv(name: str) -> None:
    syncs = [rest for word, rest in instructions(name) if word == "RUN" and "uv sync" in rest]
    assert syncs
    for sync in syncs:
        assert "uv sync --frozen --no-dev --no-editable" in sync
        assert sync.endswith(f"--package natter-{name}")
    assert not any("uv" in rest.split() for word, rest in last_stage(name) if word in {"RUN", "COPY"})


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_made_with_the_uv_that_make_brings(name: str) -> None:
    wanted = re.search(r"^UV_VERSION=(\S+)$", (ROOT / "scripts" / "python.sh").read_text(), re.MULTILINE)
    assert wanted is not None
    assert ("ARG", f"UV_VERSION={wanted[1]}") in instructions(name)


@pytest.mark.parametrize("name", SERVICES)
def test_what_the_image_copies_is_sent_to_the_engine(name: str) -> None:
    lines = (ROOT / ".dockerignore").read_text().split()
    sent = {line.removeprefix("!") for line in lines if line.startswith("!")}
    for word, rest in instructions(name):
        if word == "COPY" and "--from" not in rest:
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists(), source
                assert Path(source).parts[0] in sent, source


def test_the_broker_takes_the_largest_frame() -> None:
    config = (ROOT / "deploy" / "nats" / "nats-server.conf").read_text()
    assert "max_payload: 1MB" in config
    assert "store_dir: /data" in config
