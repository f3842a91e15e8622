"""uac_redirect over real transactions."""

import pytest

from openserd.errors import ConfigError
from openserd.script.problems import ConfigErrors
from openserd.testing import Result, Script

MODULES = ["sl", "tm", "rr"]


def load(failure: str, params: str = "", modules: tuple[str, ...] = ("uac_redirect",), route: str = "") -> Script:
    """A script that relays, with a failure route."""
    text = f"""{params}
        route {{ {route} t_on_failure("1"); t_relay(); }}
        failure_route[1] {{ {failure} }}"""
    return Script.text(text, [*MODULES, *modules])


def redirected(script: Script, contacts: list[str], status: int = 302) -> Result:
    """What happens after the one branch has been redirected."""
    call = script.request("INVITE sip:bob@192.0.2.20")
    return script.reply(call.request, status, headers={"Contact": contacts})


FOLLOW = 'if (get_redirects("*")) { t_relay(); }'


def uris(result: Result) -> list[str]:
    """Where requests but ACK were sent to."""
    return [one.uri for one in result.forwarded if one.method != "ACK"]


def test_get_redirects_follows_contacts_of_a_3xx() -> None:
    with load(FOLLOW) as script:
        result = redirected(script, ["<sip:low@192.0.2.31>;q=0.1", "<sip:high@192.0.2.30>;q=0.8"])
        assert uris(result) == ["sip:high@192.0.2.30", "sip:low@192.0.2.31"]
        assert not result.replies


@pytest.mark.parametrize("status", [302, 404])
def test_without_contacts_or_another_answer_nothing_is_followed(status: int) -> None:
    with load(FOLLOW) as script:
        result = redirected(script, [] if status == 302 else ["<sip:x@192.0.2.30>"], status)
        assert uris(result) == []
        assert result.reply.status == status


@pytest.mark.parametrize(
    ("limits", "expected"), [("1", ["sip:a@192.0.2.30"]), ("*:2", ["sip:a@192.0.2.30", "sip:b@192.0.2.30"])]
)
def test_limits_keep_the_best_contacts(limits: str, expected: list[str]) -> None:
    with load(f'get_redirects("{limits}"); t_relay();') as script:
        contacts = ["<sip:c@192.0.2.30>;q=0.1", "<sip:a@192.0.2.30>;q=0.9", "<sip:b@192.0.2.30>;q=0.5"]
        assert uris(redirected(script, contacts)) == expected


def test_contacts_of_all_branches_are_taken_within_the_total() -> None:
    route = 'append_branch("sip:carol@192.0.2.21");'
    with load('get_redirects("3:2"); t_relay();', route=route) as script:
        call = script.request("INVITE sip:bob@192.0.2.20")
        first, second = call.forwarded
        script.reply(first, 302, headers={"Contact": [f"<sip:1{n}@192.0.2.30>" for n in range(3)]})
        result = script.reply(second, 301, headers={"Contact": [f"<sip:2{n}@192.0.2.30>" for n in range(3)]})
        assert uris(result) == ["sip:10@192.0.2.30", "sip:11@192.0.2.30", "sip:20@192.0.2.30"]


CONTACTS = ["<sip:a@one.example>", "<sip:b@two.example>", "<sip:c@three.example>"]


@pytest.mark.parametrize(
    ("params", "calls", "expected"),
    [
        ("", "", "abc"),
        ("default_filter deny", "", ""),
        ("default_filter DENY,accept_filter .*@two", "", "b"),
        ("deny_filter two", "", "ac"),
        ("deny_filter two", 'set_deny_filter("one", "");', "c"),
        ("deny_filter two", 'set_deny_filter("one", "reset_default");', "bc"),
        ("deny_filter two", 'set_deny_filter("one", ""); set_deny_filter("three", "reset_added");', "a"),
        ("deny_filter two", 'set_deny_filter("one", ""); set_deny_filter("three", "reset_all");', "ab"),
        ("default_filter deny,accept_filter two", 'set_accept_filter("ONE", "");', "ab"),
        ("default_filter deny,accept_filter two", 'set_accept_filter("one", "RESET_ALL");', "a"),
    ],
)
def test_filters(params: str, calls: str, expected: str) -> None:
    settings = "".join(
        'modparam("uac_redirect", "{}", "{}") '.format(*one.split(" ", 1)) for one in params.split(",") if one
    )
    body = f'{calls} get_redirects("*"); t_relay();'
    hosts = {f"{name}.example": "192.0.2.30" for name in ("one", "two", "three")}
    with load(body, settings) as script:
        script.hosts.update(hosts)
        found = [uri[4] for uri in uris(redirected(script, CONTACTS))]
        assert "".join(sorted(found)) == expected


def test_filters_are_for_one_message() -> None:
    with load('if (method=="INVITE") { set_deny_filter("@", ""); } get_redirects("*"); t_relay();') as script:
        assert uris(redirected(script, ["<sip:a@192.0.2.30>"])) == []
        call = script.request("OPTIONS sip:bob@192.0.2.20")
        result = script.reply(call.request, 302, headers={"Contact": "<sip:a@192.0.2.30>"})
        assert uris(result) == ["sip:a@192.0.2.30"]


def test_a_seventh_filter_is_refused() -> None:
    body = 'set_deny_filter("x", "");' * 5 + 'if (!set_deny_filter("y", "")) { t_reply("499", "full"); }'
    with load(body) as script:
        result = redirected(script, ["<sip:a@192.0.2.30>"])
        assert result.reply.status == 499
        assert "too many filters" in result.log[0]


def accounted(result: Result) -> list[str]:
    """Lines of acc."""
    return [str(line) for line in result.log if line.startswith("ACC: ")]


def test_each_contact_is_accounted_for() -> None:
    params = 'modparam("acc", "log_extra", "uri=$ru")'
    body = 'get_redirects("*", "redirected"); t_relay();'
    with load(body, params, ("acc", "uac_redirect")) as script:
        result = redirected(script, ["<sip:a@192.0.2.30>", "<sip:b@192.0.2.31>"])
        lines = accounted(result)
        assert [line.rpartition(";uri=")[2] for line in lines] == ["sip:a@192.0.2.30", "sip:b@192.0.2.31"]
        assert all(line.startswith("ACC: request accounted: timestamp=") for line in lines)
        assert all(";code=;reason=redirected;" in line for line in lines)


def test_the_accounting_function_and_its_table_are_parameters(tmp_path: object) -> None:
    params = (
        'modparam("uac_redirect", "acc_function", "acc_db_request") modparam("uac_redirect", "acc_db_table", "moved")'
        f'modparam("acc", "db_url", "sqlite://{tmp_path}/none/x.db")'
    )
    with load('get_redirects("*", ""); t_relay();', params, ("sqlite", "acc", "uac_redirect")) as script:
        result = redirected(script, ["<sip:a@192.0.2.30>"])
        assert [line.partition(":")[0] for line in accounted(result)] == ["ACC"]
        assert "ACC: not in table moved: " in accounted(result)[0] and ";reason=n/a" in accounted(result)[0]


def test_what_is_wrong_is_said_when_the_script_is_read() -> None:
    with pytest.raises(ConfigErrors, match="no function acc_log_request"):
        load('get_redirects("*", "x");')
    with pytest.raises(ConfigErrors, match="no limit"):
        load('get_redirects("many");')
    with pytest.raises(ConfigErrors, match="not possible"):
        load('set_deny_filter("x", "reset");')
    with pytest.raises(ConfigErrors, match="expression"):
        load('set_accept_filter("(", "");')
    with pytest.raises(ConfigErrors, match="accept or deny"):
        load("drop();", 'modparam("uac_redirect", "default_filter", "maybe")')
    with pytest.raises(ConfigErrors, match="failure_route"):
        load("drop();", route='get_redirects("*");')
    with pytest.raises(ConfigError, match="tm"):
        Script.text("route { drop(); }", ["uac_redirect"])
