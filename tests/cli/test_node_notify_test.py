"""``casgan-dicom node notify-test``: what comes back of each server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from casgan_dicom.cli import cli
from tests.support.hook_server import HookServer
from tests.support.mail_server import MailServer


def config(folder: Path, *tables: str) -> Path:
    path = folder / "node.toml"
    path.write_text(f'data = "{folder}/node"\n' + "\n".join(f"[[notifications]]\n{each}" for each in tables))
    return path


def run(path: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["node", "--config", str(path), "notify-test", *arguments])


def chat(server: HookServer) -> str:
    return f'name = "chat"\nurl = "{server.url}"\n'


def mail(server: MailServer) -> str:
    return (
        f'name = "on-call"\nkind = "mail"\nhost = "127.0.0.1"\nport = {server.port}\nencryption = "none"\n'
        'sender = "node@hospital.example"\nto = ["it@hospital.example"]\n'
    )


def test_each_is_sent_a_test_message_and_says_what_came_back(tmp_path: Path) -> None:
    with HookServer() as hook, MailServer() as post:
        said = run(config(tmp_path, chat(hook), mail(post)))

        assert said.exit_code == 0
        assert said.stdout.splitlines() == ["chat  HTTP 200", "on-call  taken for 1 of 1 addresses"]
        assert hook.posted[0].message["test"] is True
        assert "test message" in post.letters[0].message["Subject"]


def test_one_of_them_is_chosen_by_its_name(tmp_path: Path) -> None:
    with HookServer() as hook, MailServer() as post:
        path = config(tmp_path, chat(hook), mail(post))
        assert json.loads(run(path, "on-call", "--json").stdout) == [
            {"name": "on-call", "taken": True, "answer": "taken for 1 of 1 addresses"}
        ]

        assert hook.posted == []


def test_who_does_not_take_it_is_named_with_the_key_and_the_others_are_tried(tmp_path: Path) -> None:
    with HookServer() as hook, MailServer() as post:
        post.refuses = {"MAIL": 530}
        hook.statuses = [200, 404]
        path = config(tmp_path, mail(post), chat(hook))
        said = run(path)

        assert said.exit_code == 6
        assert said.stdout.splitlines() == ["chat  HTTP 200"]
        assert "takes no mail from sender (530)" in said.stderr
        assert "try: check sender" in said.stderr
        assert "check the path in url" in run(path, "chat").stderr


@pytest.mark.parametrize("arguments", [[], ["nobody"]])
def test_where_nobody_is_told_or_nobody_of_that_name_the_configuration_is_wrong(
    tmp_path: Path, arguments: list[str]
) -> None:
    said = run(config(tmp_path), *arguments)

    assert said.exit_code == 5
    assert "notifications" in said.stderr
