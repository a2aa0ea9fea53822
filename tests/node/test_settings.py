"""Settings of a node: which make sense, and where the data go."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from platformdirs import user_data_path
from pynetdicom._validators import validate_ae

from casgan_dicom.config import collect, leaves
from casgan_dicom.errors import ConfigError
from casgan_dicom.node.checks import PREFIX, load_node_settings, problems
from casgan_dicom.node.settings import (
    ArchiveSettings,
    AuditSettings,
    CompletionSettings,
    DestinationSettings,
    InboxSettings,
    ListenerSettings,
    NodeSettings,
    PageSettings,
    PeerSettings,
    PullSettings,
    RestartSettings,
    RetentionSettings,
    RetrySettings,
    WebSettings,
    WorkerSettings,
)

PEER = PeerSettings("CATHLAB1", "10.1.2.3")
ARCHIVE = ArchiveSettings("pacs", "10.1.2.4", 104, "PACS")
PACS = DestinationSettings("pacs", "10.1.2.4", 104, "ORTHANC")
AE_WANTED = "1 to 16 ASCII characters, no backslash, no space at either end"
LISTS = {field.name for field in dataclasses.fields(NodeSettings) if isinstance(field.default, tuple)}

YEAR = "more than 0 and at most 31536000 (a year)"


def folder_at(path: str) -> DestinationSettings:
    """A destination of kind folder."""
    return DestinationSettings("share", kind="folder", folder=Path(path))


def listener(**changes: Any) -> NodeSettings:  # noqa: ANN401  # fields of any type
    """A node with another listener, and one peer."""
    return NodeSettings(listener=ListenerSettings(**changes), peers=(PEER,))


def sends_to(**changes: Any) -> NodeSettings:  # noqa: ANN401  # fields of any type
    """A node with one destination."""
    return NodeSettings(destinations=(replace(PACS, **changes),))


def test_the_defaults_make_sense() -> None:
    assert problems(NodeSettings()) == ()


@pytest.mark.parametrize(
    "settings",
    [
        listener(port=0),
        listener(port=65535, host="0.0.0.0"),
        listener(host="::", max_connections=480, max_connections_per_address=480, min_free_bytes=0),
        listener(host="node.example", ae_title="A B~16 CHARS LON"),
        NodeSettings(listener=ListenerSettings(host="localhost")),
        NodeSettings(listener=ListenerSettings(host="127.0.1.1")),
        NodeSettings(listener=ListenerSettings(host="::1")),
        NodeSettings(listener=ListenerSettings(host="::ffff:127.0.0.1")),
        NodeSettings(peers=(PEER, PeerSettings("CATHLAB1"), PeerSettings("CATHLAB1", "fd00::1"))),
        NodeSettings(peers=(replace(PEER, quiet_seconds=2.0), PeerSettings("B", quiet_seconds=900.0))),
        NodeSettings(completion=CompletionSettings(quiet_seconds=5, short_seconds=5, cap_seconds=5)),
        NodeSettings(worker=WorkerSettings(devices=("cpu", "cuda:0", "cuda:10"), engine="torch", deaths=1)),
        NodeSettings(retry=RetrySettings(first_seconds=300.0)),
        NodeSettings(destinations=(PACS, replace(PACS, name="PACS"), replace(PACS, name="a" * 32))),
        sends_to(calling_ae_title="ROBOT", host="fd00::2", port=1),
    ],
)
def test_these_settings_make_sense(settings: NodeSettings) -> None:
    assert problems(settings) == ()


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (listener(port=65536), "listener.port is 65536, want 0 to 65535"),
        (listener(port=-1), "listener.port is -1, want 0 to 65535"),
        (listener(host=""), "listener.host is '', want an address or a name"),
        (listener(host="10.0.0.1/8"), "listener.host is '10.0.0.1/8', want an address or a name"),
        (
            NodeSettings(listener=ListenerSettings(host="0.0.0.0")),
            "listener.host is '0.0.0.0', want a loopback address, or [[peers]] with an address that say who "
            "may send here from elsewhere",
        ),
        (
            NodeSettings(listener=ListenerSettings(host="node")),
            "listener.host is 'node', want a loopback address, or [[peers]] with an address that say who "
            "may send here from elsewhere",
        ),
        (listener(max_connections=481), "listener.max_connections is 481, want 1 to 480"),
        (
            listener(max_connections=10, max_connections_per_address=11),
            "listener.max_connections_per_address is 11, want at most listener.max_connections (10)",
        ),
        (
            listener(max_connections_per_address=0),
            "listener.max_connections_per_address is 0, want at least 1",
        ),
        (listener(max_instance_bytes=0), "listener.max_instance_bytes is 0, want at least 1"),
        (listener(min_free_bytes=-1), "listener.min_free_bytes is -1, want at least 0"),
        (
            NodeSettings(peers=(PeerSettings("A", "10.1.2.300"),)),
            "peers#1.address is '10.1.2.300', want an IP address, or a network as 10.1.0.0/16",
        ),
        (
            NodeSettings(peers=(PEER, PeerSettings("A", "fd00::1"), PeerSettings("A", "FD00:0::1"))),
            "peers#3 is 'A' from FD00:0::1, want no sender twice: peers#2 is it too",
        ),
        (
            NodeSettings(peers=(PeerSettings("A", "10.0.0.1"), PeerSettings("A", "::ffff:10.0.0.1"))),
            "peers#2 is 'A' from ::ffff:10.0.0.1, want no sender twice: peers#1 is it too",
        ),
        (
            NodeSettings(peers=(PeerSettings("A"), PeerSettings("A"))),
            "peers#2 is 'A' from this machine, want no sender twice: peers#1 is it too",
        ),
        (
            NodeSettings(listener=ListenerSettings(host="0.0.0.0"), peers=(PeerSettings("A"),)),
            "listener.host is '0.0.0.0', want a loopback address, or [[peers]] with an address that say who "
            "may send here from elsewhere",
        ),
        (
            NodeSettings(peers=(PeerSettings("A", "10.1.2.3/24"),)),
            "peers#1.address is '10.1.2.3/24', want an IP address, or a network as 10.1.0.0/16",
        ),
        (
            NodeSettings(peers=(PeerSettings("A", "10.0.0.1", ("10.0.0.1",)),)),
            "peers#1 is 'A' from 10.0.0.1, want no sender twice: peers#1 is it too",
        ),
        (
            NodeSettings(peers=(PeerSettings("A", addresses=("10.0.0.0/8", "x")),)),
            "peers#1.addresses is ('10.0.0.0/8', 'x'), want an IP address, or a network as 10.1.0.0/16",
        ),
        (
            NodeSettings(peers=(replace(PEER, quiet_seconds=901.0),)),
            "peers#1.quiet_seconds is 901, want at most completion.cap_seconds (900)",
        ),
        (
            NodeSettings(peers=(replace(PEER, quiet_seconds=1.0),)),
            "peers#1.quiet_seconds is 1, want at least completion.short_seconds (2)",
        ),
        (
            NodeSettings(completion=CompletionSettings(quiet_seconds=1.0)),
            "completion.quiet_seconds is 1, want at least completion.short_seconds (2)",
        ),
        (
            NodeSettings(completion=CompletionSettings(cap_seconds=29.5)),
            "completion.quiet_seconds is 30, want at most completion.cap_seconds (29.5)",
        ),
        (
            NodeSettings(worker=WorkerSettings(bundle="")),
            "worker.bundle is '', want the name of a bundle, or a folder",
        ),
        (
            NodeSettings(worker=WorkerSettings(engine="onnx")),
            "worker.engine is 'onnx', want one of auto, torch, openvino",
        ),
        (NodeSettings(worker=WorkerSettings(deaths=0)), "worker.deaths is 0, want at least 1"),
        (NodeSettings(worker=WorkerSettings(batch_frames=0)), "worker.batch_frames is 0, want at least 1"),
        (
            NodeSettings(peers=(PeerSettings("A", priority="stat"),)),
            "peers#1.priority is 'stat', want one of urgent, routine, batch",
        ),
        (
            NodeSettings(worker=WorkerSettings(mode="dream")),
            "worker.mode is 'dream', want one of invent, reference",
        ),
        (
            NodeSettings(worker=WorkerSettings(without_reference="ask")),
            "worker.without_reference is 'ask', want one of skip, invent",
        ),
        (
            NodeSettings(worker=WorkerSettings(devices=())),
            "worker.devices is (), want one or more of auto, cpu, cuda and cuda:N",
        ),
        (
            NodeSettings(worker=WorkerSettings(devices=("cpu", "gpu"))),
            "worker.devices is ('cpu', 'gpu'), want one or more of auto, cpu, cuda and cuda:N",
        ),
        (
            NodeSettings(worker=WorkerSettings(devices=("cuda:01",))),
            "worker.devices is ('cuda:01',), want one or more of auto, cpu, cuda and cuda:N",
        ),
        (
            NodeSettings(worker=WorkerSettings(devices=("cuda", "cuda:0"))),
            "worker.devices is ('cuda', 'cuda:0'), want each device once (cuda is cuda:0)",
        ),
        (
            NodeSettings(retry=RetrySettings(first_seconds=301.0)),
            "retry.first_seconds is 301, want at most retry.longest_seconds (300)",
        ),
        (
            NodeSettings(restart=RestartSettings(longest_seconds=0.25)),
            "restart.first_seconds is 0.5, want at most restart.longest_seconds (0.25)",
        ),
        (sends_to(port=0), "destinations#1.port is missing, want 1 to 65535: kind is 'dicom'"),
        (sends_to(host="a b"), "destinations#1.host is 'a b', want an address or a name"),
        (sends_to(ae_title=""), "destinations#1.ae_title is missing, want its AE title: kind is 'dicom'"),
        (sends_to(ae_title=" "), f"destinations#1.ae_title is ' ', want {AE_WANTED}"),
        (sends_to(calling_ae_title=" "), f"destinations#1.calling_ae_title is ' ', want {AE_WANTED}"),
        (
            sends_to(name="a/b"),
            "destinations#1.name is 'a/b', want 1 to 32 letters, digits, dashes and underscores",
        ),
        (
            sends_to(name="a" * 33),
            f"destinations#1.name is '{'a' * 33}', want 1 to 32 letters, digits, dashes and underscores",
        ),
        (
            sends_to(name="a\n"),
            "destinations#1.name is 'a\\n', want 1 to 32 letters, digits, dashes and underscores",
        ),
        (
            NodeSettings(destinations=(PACS, replace(PACS, port=105))),
            "destinations#2.name is 'pacs', want no name twice: destinations#1.name is it too",
        ),
    ],
)
def test_what_makes_no_sense_is_told(settings: NodeSettings, problem: str) -> None:
    assert problems(settings) == (problem,)


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf"), 4e7])
@pytest.mark.parametrize("name", ["connect_seconds", "response_seconds"])
def test_a_time_is_positive_and_finite(name: str, seconds: float) -> None:
    assert problems(sends_to(**{name: seconds})) == (f"destinations#1.{name} is {seconds:g}, want {YEAR}",)


def test_every_time_has_that_rule() -> None:
    everything = NodeSettings(
        listener=ListenerSettings(idle_seconds=-1.0),
        peers=(replace(PEER, quiet_seconds=-1.0, expected_every_seconds=-1.0),),
        destinations=(replace(PACS, connect_seconds=-1.0, response_seconds=-1.0, commitment_seconds=-1.0),),
        worker=WorkerSettings(reference_seconds=-1.0),
        web=WebSettings(idle_seconds=-1.0),
        page=PageSettings(idle_seconds=-1.0, session_seconds=-1.0),
        audit=AuditSettings(response_seconds=-1.0, longest_seconds=-1.0),
    )
    for name in ("completion", "retry", "restart"):
        table = getattr(everything, name)
        never = replace(table, **dict.fromkeys(dataclasses.asdict(table), -1.0))
        everything = replace(everything, **{name: never})
    (pacs,) = everything.destinations
    names = [field.name for field in dataclasses.fields(pacs) if field.name.startswith("retry_")]
    own: dict[str, Any] = dict.fromkeys(names, -1.0)
    everything = replace(everything, destinations=(replace(pacs, **own),))
    times = [
        key
        for key, _ in leaves(everything)
        if "seconds" in key and not key.startswith(("retention.", "host."))
    ]

    assert len(times) >= 12
    assert sorted(problems(everything)) == sorted(f"{key} is -1, want {YEAR}" for key in times)


@pytest.mark.parametrize(
    "title", ["", " ", " " * 16, "A" * 17, "A\\B", "A\n", "A\x7f", "Ä", " A", "A ", "\t", "A\x00"]
)
def test_no_ae_title(title: str) -> None:
    assert problems(listener(ae_title=title)) == (f"listener.ae_title is {title!r}, want {AE_WANTED}",)


def test_an_ae_title_is_what_pynetdicom_takes_and_no_peer_trims() -> None:
    """The oracle is another reading of PS3.5 6.2, over every character of Latin-1 in three places."""
    for code in range(256):
        for title in (chr(code), f"A{chr(code)}", f"A{chr(code)}B"):
            theirs = validate_ae(title)[0] and title == title.strip(" ")
            assert (problems(listener(ae_title=title)) == ()) is theirs, repr(title)


@pytest.mark.parametrize(
    ("own", "host"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "localhost"),
        ("localhost", "::1"),
        ("0.0.0.0", "127.0.0.1"),
        ("10.1.2.9", "10.1.2.9"),
        ("fd00::1", "FD00:0::1"),
        ("127.0.0.1", "::ffff:127.0.0.1"),
        ("::ffff:0.0.0.0", "127.0.0.1"),
        ("::ffff:10.1.2.9", "10.1.2.9"),
        ("node.example", "Node.Example"),
    ],
)
def test_a_destination_that_is_the_node_itself_is_refused(own: str, host: str) -> None:
    loop = DestinationSettings("loop", host, 11112, "CASGAN")
    settings = NodeSettings(listener=ListenerSettings(host=own), peers=(PEER,), destinations=(PACS, loop))

    (told,) = problems(settings)

    assert told.startswith("destinations#2 is this node's own listener")


@pytest.mark.parametrize(
    ("own", "changes"),
    [
        ("127.0.0.1", {"port": 11113}),
        ("127.0.0.1", {"ae_title": "OTHER"}),
        ("127.0.0.1", {"host": "10.1.2.9"}),
        ("10.1.2.9", {"host": "127.0.0.1"}),
    ],
)
def test_a_neighbour_of_the_node_is_no_loop(own: str, changes: dict[str, Any]) -> None:
    near = replace(DestinationSettings("pacs", "127.0.0.1", 11112, "CASGAN"), **changes)
    assert (
        problems(NodeSettings(listener=ListenerSettings(host=own), peers=(PEER,), destinations=(near,))) == ()
    )


def test_all_that_makes_no_sense_is_told_at_once() -> None:
    settings = NodeSettings(
        listener=ListenerSettings(host="0.0.0.0", port=-1), destinations=(replace(PACS, port=-1),)
    )
    assert [told.partition(" ")[0] for told in problems(settings)] == [
        "listener.port",
        "destinations#1.port",
        "listener.host",
    ]


# From files and variables.


def told_by(
    path: Path | None, environ: dict[str, str], overrides: dict[str, object] | None = None
) -> list[str]:
    """The problems in the error of loading, sorted."""
    with pytest.raises(ConfigError) as caught:
        load_node_settings(path, environ, overrides or {})
    assert caught.value.hint
    return sorted(caught.value.message.split("\n  ")[1:]) or [caught.value.message]


def test_a_typing_error_and_a_wrong_range_are_told_in_one_error_with_their_places(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text("[listener]\nprot = 104\nport = 70000\n[retry]\nfirst_seconds = 'soon'")

    told = told_by(path, {"CASGAN_NODE_WORKER_ENGINE": "onnx"}, {"worker.deaths": 0})

    assert told == sorted(
        [
            f"{path}: unknown key 'listener.prot' (did you mean 'listener.port'?)",
            f"{path}: retry.first_seconds is 'soon', want a number",
            f"{path}: listener.port is 70000, want 0 to 65535",
            "CASGAN_NODE_WORKER_ENGINE: worker.engine is 'onnx', want one of auto, torch, openvino",
            "command line: worker.deaths is 0, want at least 1",
        ]
    )


def test_a_rule_is_not_applied_to_a_value_that_could_not_be_read(tmp_path: Path) -> None:
    """The default quiet time is below this short time, but it is not what the file wants."""
    path = tmp_path / "node.toml"
    path.write_text("[completion]\nshort_seconds = 45\nquiet_seconds = '60'")

    assert told_by(path, {}) == [f"{path}: completion.quiet_seconds is '60', want a number"]


def test_a_table_with_a_slip_of_the_pen_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text("[listener]\nhost = '0.0.0.0'\n[[peer]]\nae_title = 'A'")

    assert told_by(path, {}) == [f"{path}: unknown key 'peer' (did you mean 'peers'?)"]


def test_a_range_that_a_variable_breaks_against_a_default_names_the_variable() -> None:
    assert told_by(None, {"CASGAN_NODE_COMPLETION_CAP_SECONDS": "10"}) == [
        "CASGAN_NODE_COMPLETION_CAP_SECONDS: completion.quiet_seconds is 30, "
        "want at most completion.cap_seconds (10)"
    ]


def test_an_option_wins_over_a_variable_and_that_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text("[listener]\nport = 1\nae_title = 'FILE'\nhost = '127.0.0.2'")
    environ = {"CASGAN_NODE_LISTENER_PORT": "2", "CASGAN_NODE_LISTENER_AE_TITLE": "VARIABLE"}

    loaded = load_node_settings(path, environ, {"listener.port": 3}).listener

    assert (loaded.port, loaded.ae_title, loaded.host) == (3, "VARIABLE", "127.0.0.2")


@pytest.mark.parametrize(
    ("environ", "data"),
    [
        ({}, user_data_path("casgan-dicom") / "node"),
        ({"CASGAN_DATA": ""}, user_data_path("casgan-dicom") / "node"),
        ({"CASGAN_DATA": "/srv/casgan"}, Path("/srv/casgan/node")),
        ({"CASGAN_DATA": "/srv/casgan", "CASGAN_NODE_DATA": "/srv/node"}, Path("/srv/node")),
    ],
)
def test_the_data_folder_is_named_or_below_that_of_the_program(environ: dict[str, str], data: Path) -> None:
    assert load_node_settings(None, environ).data == data


def test_the_data_folder_of_the_file_wins_over_that_of_the_program(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text("data = '/srv/node'")
    loaded = load_node_settings(tmp_path / "node.toml", {"CASGAN_DATA": "/srv/casgan"})
    assert loaded.data == Path("/srv/node")


def test_every_key_has_a_variable_of_its_own() -> None:
    keys = [key for key, _ in leaves(NodeSettings()) if key not in LISTS]
    names = [f"{PREFIX}_{key.upper().replace('.', '_')}" for key in keys]
    assert len(set(names)) == len(names)
    for key, name in zip(keys, names, strict=True):
        reading = collect(NodeSettings, None, {name: "1"}, prefix=PREFIX)
        assert reading.origins == {key: name}


def test_a_misspelled_table_hides_no_mistake_in_the_right_one(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text('[listner]\nport = 1\n[listener]\nae_title = "MUCH TOO LONG FOR AN AE TITLE"\n')

    with pytest.raises(ConfigError) as raised:
        load_node_settings(path, {})

    assert "unknown key 'listner' (did you mean 'listener'?)" in raised.value.message
    assert "listener.ae_title is 'MUCH TOO LONG FOR AN AE TITLE'" in raised.value.message


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"inboxes": (InboxSettings("/data/node/inbox"),)}, "inboxes#1.path is '/data/node/inbox', want"),
        ({"inboxes": (InboxSettings("/data"),)}, "inboxes#1.path is '/data', want a folder outside"),
        ({"inboxes": (InboxSettings("/a"), InboxSettings("/a"))}, "no path twice"),
        (
            {"inboxes": (InboxSettings("/a"),), "destinations": (folder_at("/a/b"),)},
            "inboxes#1.path is '/a', want a folder apart from destinations#1.folder (/a/b)",
        ),
        (
            {"inboxes": (InboxSettings("/a/b"),), "destinations": (folder_at("/a"),)},
            "inboxes#1.path is '/a/b', want a folder apart from destinations#1.folder (/a)",
        ),
        (
            {"destinations": (folder_at("rel"),)},
            "destinations#1.folder is 'rel', want a path that",
        ),
        ({"inboxes": (InboxSettings("relative"),)}, "inboxes#1.path is 'relative', want an absolute path"),
        ({"pulls": (PullSettings("pacs"),)}, "pulls#1.archive is 'pacs', want the name of one of"),
        ({"archives": (ARCHIVE, ARCHIVE)}, "archives#2.name is 'pacs', want no name twice"),
        ({"archives": (ARCHIVE,), "pulls": (PullSettings("pacs", modalities=()),)}, "one or more modalities"),
        ({"archives": (replace(ARCHIVE, retrieve="take"),)}, "want one of get, move"),
    ],
)
def test_what_is_taken_from_elsewhere_must_make_sense(changed: dict[str, Any], said: str) -> None:
    settings = replace(NodeSettings(data=Path("/data/node")), **changed)

    assert any(said in problem for problem in problems(settings)), problems(settings)


@pytest.mark.parametrize(
    "key", ["delivered_seconds", "outbox_seconds", "ended_seconds", "quarantine_seconds"]
)
def test_what_is_kept_is_kept_for_a_time_or_for_ever(key: str) -> None:
    def told(value: float) -> tuple[str, ...]:
        changed: dict[str, Any] = {key: value}
        return problems(NodeSettings(retention=RetentionSettings(**changed)))

    assert told(0) == told(1.0) == ()
    assert told(-1.0) == (f"retention.{key} is -1, want 0, or {YEAR}",)


@pytest.mark.parametrize(
    ("high", "low", "said"),
    [
        (0, 0, ""),
        (10, 9, ""),
        (10, 10, "retention.low_bytes is 10, want more than 0 and less than retention.high_bytes (10)"),
        (10, 0, "retention.low_bytes is 0, want more than 0 and less than retention.high_bytes (10)"),
        (0, 5, "retention.low_bytes is 5, want 0, as retention.high_bytes is"),
    ],
)
def test_room_is_made_between_two_sizes(high: int, low: int, said: str) -> None:
    found = problems(NodeSettings(retention=RetentionSettings(high_bytes=high, low_bytes=low)))

    assert found == ((said,) if said else ())


def test_a_destination_that_reports_on_commitment_is_called_by_the_title_of_the_listener() -> None:
    def settings(calling: str) -> NodeSettings:
        destination = replace(PACS, calling_ae_title=calling, commitment=True)
        return NodeSettings(listener=ListenerSettings(ae_title="CASGAN"), destinations=(destination,))

    assert problems(settings("")) == problems(settings("CASGAN")) == ()
    (told,) = problems(settings("OTHER"))
    assert told.startswith("destinations#1.calling_ae_title is 'OTHER', want nothing or 'CASGAN'")


@pytest.mark.parametrize(("free", "right"), [(0, True), (500, False), (501, True)])
def test_room_is_made_before_the_listener_refuses(free: int, right: bool) -> None:
    settings = NodeSettings(
        listener=ListenerSettings(min_free_bytes=500), retention=RetentionSettings(free_bytes=free)
    )

    said = f"retention.free_bytes is {free}, want 0, or more than listener.min_free_bytes (500)"
    assert problems(settings) == (() if right else (said,))
