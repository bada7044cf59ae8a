"""Folders of bots, good and bad: what is wrong is said with file, line and field."""

from collections.abc import Callable
from pathlib import Path

import pytest

from natter_gateway.bots import BotError, UnknownBotError, load_bots

GOOD = "name: Ann\nprompt: Be Ann.\n"
Folder = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Writes files (`ann="…"` is ann.yaml) and gives their folder."""

    def write(**files: str | bytes) -> Path:
        for stem, content in files.items():
            data = content if isinstance(content, bytes) else content.encode()
            (tmp_path / f"{stem}.yaml").write_bytes(data)
        return tmp_path

    return write


def problems(folder: Path) -> list[str]:
    """What `load_bots` says, one a line, with bare file names."""
    with pytest.raises(BotError) as caught:
        load_bots(folder)
    assert str(caught.value).splitlines() == [str(problem) for problem in caught.value.problems]
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


def test_bots_are_ordered_and_found_by_name(folder: Folder) -> None:
    bots = load_bots(folder(zoe=GOOD, ann=GOOD))
    assert [bot.id for bot in bots] == ["ann", "zoe"]
    assert len(bots) == 2
    assert "zoe" in bots
    assert bots.get("zoe").name == "Ann"
    with pytest.raises(UnknownBotError, match="no bot 'bob'; there are: ann, zoe"):
        bots.get("bob")


def test_the_default_is_the_marked_one_else_the_first(folder: Folder) -> None:
    assert load_bots(folder(ann=GOOD, zoe=GOOD)).default.id == "ann"
    assert load_bots(folder(ann=GOOD, zoe=GOOD + "default: true\n")).default.id == "zoe"


def test_two_defaults_are_refused(folder: Folder) -> None:
    marked = GOOD + "default: true\n"
    assert problems(folder(ann=marked, zoe=marked)) == [
        "zoe.yaml: default: ann.yaml is the default bot already; there can be one"
    ]


def test_an_empty_or_missing_folder_says_so(tmp_path: Path) -> None:
    assert "there is no bot here" in problems(tmp_path)[0]
    assert "No such file" in problems(tmp_path / "none")[0]


def test_other_files_are_left_alone(folder: Folder) -> None:
    path = folder(ann=GOOD)
    (path / "README.md").write_text("hello")
    (path / ".swap.yaml").write_text("{")
    assert len(load_bots(path)) == 1


def test_the_same_name_twice(folder: Folder) -> None:
    path = folder(ann=GOOD)
    (path / "ann.yml").write_text(GOOD)
    assert problems(path) == ["ann.yml: is the same bot as ann.yaml"]


def test_a_file_name_that_is_no_token(folder: Folder) -> None:
    assert "its name is the bot's id" in problems(folder(**{"an n": GOOD}))[0]


def test_all_problems_of_all_files_come_at_once(folder: Folder) -> None:
    bad = """\
name: Ann
prompt: Be Ann.
llm:
  temprature: 1
  temperature: 5
tts:
  speed: fast
voice: nova
"""
    found = problems(folder(ann=bad, zoe="name: Zoe\n"))
    assert found == [
        "ann.yaml:4: llm.temprature: is no field of a bot; did you mean temperature?",
        "ann.yaml:5: llm.temperature: should be less than or equal to 2, not 5",
        "ann.yaml:7: tts.speed: should be a valid number, not 'fast'",
        "ann.yaml:8: voice: is no field of a bot; did you mean tts.voice?",
        "zoe.yaml:1: prompt: is missing",
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("language: no", "3: language: should be text, not False: put it in quotes"),
        ("language: german", "3: language: is no language such as en or pt-BR, not 'german'"),
        ("default: maybe", "3: default: should be a valid boolean, not 'maybe'"),
        ("greeting: 12", "3: greeting: should be text, not 12: put it in quotes"),
        ("id: bob", "3: id: is the name of the file (ann); leave it out"),
        ("vad: 3", "3: vad: holds fields of its own: write them below it, indented"),
        ("vad: {threshold: .nan}", "3: vad.threshold: should be a finite number, not nan"),
        ("vad: {threshold: true}", "3: vad.threshold: should be a valid number, not True"),
        ("vad: {min_silence_duration_ms: 0.2}", "3: vad.min_silence_duration_ms: should be a valid integer, not 0.2"),
        ("vad:\n  min_silence_duration_ms: -1", "4: vad.min_silence_duration_ms: should be greater than or equal to 50, not -1"),  # noqa: E501
        ("stt: {provider: a.b}", "3: stt.provider: is no name: 1 to 64 of A-Z a-z 0-9 _ - are, not 'a.b'"),
        ("stt:\n  provider:\n    - local\n    - '*'", "6: stt.provider[1]: is no name: 1 to 64 of A-Z a-z 0-9 _ - are, not '*'"),  # noqa: E501
        ("stt: {provider: [local, local]}", "3: stt.provider: names a provider twice"),
        ("stt: {provider: [auto, local]}", "3: stt.provider: is either auto or a list of providers, not both"),
        ("tts:\n  speed: 1\n  voice: nova", "5: tts.voice: belongs to one provider: name it in `provider` (the first of several is meant)"),  # noqa: E501
        ("turn: {end_of_turn_silence_ms: 100}", "3: turn.end_of_turn_silence_ms: is shorter than vad.min_silence_duration_ms (200): a turn ends with a pause"),  # noqa: E501
        ("turn: {temperature: 1}", "3: turn.temperature: is no field of a bot; did you mean llm.temperature?"),
        ("llm: {name: x}", "3: llm.name: is no field of a bot; did you mean name at the top level?"),
        ("llm: {zzz: x}", "3: llm.zzz: is no field of a bot; there are: provider, model, temperature, max_tokens, max_sentences, max_tool_steps"),  # noqa: E501
        ("greeting: Hi {{naem}} {{x}}\nvariables: {name: Bob}", "3: greeting: uses {{naem}}, {{x}}, which `variables` does not declare"),  # noqa: E501
        ("variables:\n  ok: 1\n  Bad: 1", "5: variables.Bad: is no name of a variable"),
        ("variables:\n  ok: 1\n  tags: [a]", "5: variables.tags: should be text, a number, true or false"),
        ("variables:\n  tags: \"a\\tb\"", "4: variables.tags: has control characters in it"),
        ("variables: [name]", "3: variables: should be lines of `name: default`"),
        ("variables:", "3: variables: should be lines of `name: default`"),
        ("tools:\n- name: a\n  description: b\n  kind: ftp", "6: tools[0].kind: should be 'browser', 'http', 'nats' or 'mcp', not 'ftp'"),  # noqa: E501
        ("tools:\n- name: a\n  description: b\n  kind: browser\n  timeout: 3", "7: tools[0].timeout: is no field of a bot; did you mean timeout_ms?"),  # noqa: E501
        ("tools:\n- name: a\n  description: b\n  kind: http\n  http:\n    link: x", "7: tools[0].http.url: is missing"),
        ("tools:\n- name: a\n  description: b\n  kind: http", "4: tools[0]: says nothing of how to reach it: add a section `http`"),  # noqa: E501
        ("tools:\n- name: a\n  description: b\n  kind: browser\n  mcp: {command: [x]}", "7: tools[0].mcp: belongs to a tool of kind mcp, and this one is browser"),  # noqa: E501
        ("tools:\n- {name: a, description: b, kind: browser}\n- {name: a, description: b, kind: nats}", "5: tools[1].name: is the name of tools[0] already"),  # noqa: E501
        ("tools:\n- name: a\n  description: b\n  kind: browser\n  parameters:\n    type: object\n    properties:\n      city: {type: text}", "10: tools[0].parameters.properties.city.type: is no JSON schema: 'text' is not"),  # noqa: E501
        ("tools: {name: a}", "3: tools: should be a list"),
        ("record: audio", "3: record: should be 'none' or 'text', not 'audio'"),
        ("name: Eve", "3: name: stands twice, first on line 1"),
        ("llm: {model: a, model: b}", "3: llm.model: stands twice, first on line 3"),
        ("12: 3", "3: 12: is no field of a bot; there are: "),
    ],
)  # fmt: skip
def test_a_bad_line(folder: Folder, line: str, expected: str) -> None:
    found = problems(folder(ann=f"{GOOD}{line}\n"))
    assert found[0].startswith(f"ann.yaml:{expected}"), found


def test_a_blank_prompt(folder: Folder) -> None:
    assert problems(folder(ann="name: Ann\nprompt: '  '\n")) == ["ann.yaml:2: prompt: is empty, not '  '"]


def test_a_text_that_is_too_long(folder: Folder) -> None:
    assert problems(folder(ann=f"name: {'n' * 81}\nprompt: p\n")) == [
        "ann.yaml:1: name: String should have at most 80 characters"
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "ann.yaml: is empty"),
        ("- a\n", "ann.yaml:1: holds no fields"),
        ("name: Ann\nprompt: [a\n", "ann.yaml:3: while parsing a flow sequence"),
        ("name: Ann\n\tprompt: a\n", "ann.yaml:2: "),
        ("name: &x Ann\nprompt: *x\n", "ann.yaml:2: aliases (*name) are not taken: write the text out (column 9)"),
        ("a: " + "[" * 4000, "ann.yaml:1: is nested too deeply"),
        ("name: !!python/object/apply:os.system [ls]\nprompt: p\n", "ann.yaml:1: could not determine a constructor"),
        ("name: 2026-13-45\nprompt: p\n", "ann.yaml: month must be in"),
        ("name: Ann\n---\nname: Bob\n", "ann.yaml:2: expected a single document"),
        ("{[a]: b}\n", "ann.yaml:1: "),
        (b"name: Ann\nprompt: \xff\n", "ann.yaml:2: is not written in UTF-8"),
        (b"name: a\x00b\n", "ann.yaml: "),
        ("# " + "x" * 256 * 1024, "ann.yaml: is larger than 256 KiB"),
    ],
)
def test_a_text_that_is_no_bot(folder: Folder, content: str | bytes, expected: str) -> None:
    found = problems(folder(ann=content))
    assert len(found) == 1
    assert found[0].startswith(expected), found
