"""Thirty scripts, each with what it does to the messages that it is for; together they use the whole language."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from openserd.core.module import BRANCH, FAILURE, ONREPLY
from openserd.core.routes import run
from openserd.testing import Result, Script
from openserd.testing.messages import Headers
from scripts import openser12

FOLDER = Path(__file__).resolve().parents[2] / "data/scripts/good/run"
PATHS = {path.stem: path for path in sorted(FOLDER.glob("*.cfg"))}
SDP = "v=0\r\nc=IN IP4 10.0.0.5\r\nm=audio 4000 RTP/AVP 0\r\nm=video 4002 RTP/AVP 31\r\n"

Check = Callable[[Script], None]
CHECKS: dict[str, Check] = {}


def about(check: Check) -> Check:
    """Registers the check of the script that has the function's name."""
    CHECKS[check.__name__.replace("_", "-")] = check
    return check


@pytest.mark.parametrize("name", PATHS)
def test_good_script_does_what_it_says(name: str) -> None:
    with Script.load(
        PATHS[name], hosts={"phone.example.com": "192.0.2.10", "gateway.example.com": "192.0.2.54"}
    ) as script:
        assert script.warnings == []
        CHECKS[name](script)


def invite(script: Script, uri: str = "sip:bob@example.com", **options: object) -> Result:
    return script.request(f"INVITE {uri}", **options)  # type: ignore[arg-type]


# -- the language ---------------------------------------------------------------------------------------------


@about
def conditions(script: Script) -> None:
    assert invite(script).log == [
        "text", "word", "regex", "numbers", "left to right", "equal precedence", "parentheses", "variable",
        "absent variable", "sum", "text sum", "assignment 5", "call", "dangling else", "no parentheses", "else if",
    ]  # fmt: skip


@about
def comparisons(script: Script) -> None:
    assert invite(script).log == [
        "numbers", "two numbers", "order", "case", "words", "two texts", "regex", "regex in a variable", "null",
        "absent is neither",
    ]  # fmt: skip


@about
def arithmetic(script: Script) -> None:
    lines = invite(script).log
    assert lines[:11] == ["13", "15", "3", "2", "8", "14", "6", "-13", "-7", "24", "sip:bob@example.com"]
    assert lines[11].startswith("nothing assigned") and lines[12] == "sip:bob@example.com"
    assert lines[13:] == ["101", "99", "297", "74", "4", "4", "7", "15", "<null> 0 sip:example.com"]


@about
def variables(script: Script) -> None:
    headers: Headers = {"Subject": "a short talk", "X-Note": ["one", "two"]}
    result = invite(script, "sip:bob@example.com;a=7", headers=headers, to="sip:bobby@example.com")
    assert result.log == [
        "INVITE bob alice bobby call-1@192.0.2.10",
        "second@example.com first@example.com first@example.com second@example.com, first@example.com",
        "second@example.com 42",
        "a short talk one two one, two <null>",
        "bob 11 7 3",
        " sho talk",
        "sip:dave@example.net example.net sip:192.0.2.30:5080",
    ]
    assert (result.request.uri, result.request.next_hop) == ("sip:dave@example.net", "192.0.2.30:5080")
    assert result.variable("$avp(i:10)") == 42


@about
def lexical(script: Script) -> None:
    result = script.request("OPTIONS sip:a@b")
    assert result.log == [
        'tab\there, quote ", backslash \\, hex A, octal ?, one line', "raw \\t $rU", "joined", "subroutine",
    ]  # fmt: skip
    assert (result.reply.header("Server") or "").startswith("OpenSER")
    assert (result.reply.header("Warning") or "").startswith("392 198.51.100.1 ")


@about
def switches(script: Script) -> None:
    said = {user: invite(script, f"sip:{user}@example.com").log for user in ("ANNA", "berta", "carla", "dora", "emil")}
    assert said == {
        "ANNA": ["anna", "four letters"],
        "berta": ["berta, falling", "carla", "five letters call"],
        "carla": ["carla", "five letters call"],
        "dora": ["dora, not into default", "four letters"],
        "emil": ["somebody else", "four letters"],
    }
    assert script.request("INFO sip:carla@example.com").log == ["carla", "five letters"]


@about
def subroutines(script: Script) -> None:
    assert invite(script).log == ["1 is true, rc=1", "2 is false, rc=-7", "rc=5"]


@about
def endings(script: Script) -> None:
    words = ("exit1", "exit2", "drop1", "drop2", "return", "deep", "other")
    replies = [[one.status for one in invite(script, f"sip:{word}@b").replies] for word in words]
    assert replies == [[201], [202], [203], [204], [205], [206], [299]]


@about
def addresses(script: Script) -> None:
    assert script.request("OPTIONS sip:a@b").log == [
        "address", "network", "host", "text", "to me", "arrived", "ports", "udp", "inet",
    ]  # fmt: skip
    there = script.request("OPTIONS sip:a@b", source="[2001:db8::7]:5060", listener="udp:[2001:db8::1]:5062")
    assert there.log == ["ipv6", "to me", "arrived", "ports", "udp", "inet6"]
    assert "from me" in script.request("OPTIONS sip:a@b", source="198.51.100.1:5060").log


@about
def message_length(script: Script) -> None:
    assert script.request("OPTIONS sip:a@b").reply.status == 200
    large = script.request("OPTIONS sip:a@b", body="x" * 1024)
    assert (large.reply.status, large.reply.reason) == (513, "Message too big")
    assert script.request("OPTIONS sip:a@b", body="x" * 65000).reply.reason == "Message too big"


@about
def uris(script: Script) -> None:
    assert invite(script, "sip:bob@home.example").log == ["to us", "from us", "exactly bob", "alice"]
    outside = invite(script, "sip:4711@office.example:5070", from_="sip:carol@x", to="sip:bob@other.example")
    assert outside.log == ["to us", "about others", "a number", "to bob"]
    assert invite(script, "sip:bob@office.example", from_="sip:x@y").log[0] == "to others"


# -- destinations -----------------------------------------------------------------------------------------------


@about
def request_uri(script: Script) -> None:
    assert invite(script, "sip:bob:x@zero.example:5062;p=1").log == [
        "sip:bob:x@one.example:5062;p=1",
        "sip:bob:x@two.example:5062;p=1",
        "sip:bob:x@three.example:5062;p=1",
        "sip:bob:x@four.example:5090;p=1",
        "sip:bob:x@five.example;p=1",
        "sip:bob:x@six.example:5061;p=1",
        "sip:bob:x@six.example:5071;p=1",
        "sip:bob:x@six.example:5072;p=1",
        "sip:bob:x@six.example:5073;p=1",
        "sip:carol:x@six.example:5073;p=1",
        "sip:dave:x@six.example:5073;p=1",
        "sip:erin:x@six.example:5073;p=1",
        "sip:frank:secret@six.example:5073;p=1",
        "sip:grace@six.example:5073;p=1",
        "sip:heidi:pass@six.example:5073;p=1",
        "sip:00heidi:pass@six.example:5073;p=1",
        "sip:eidi:pass@six.example:5073;p=1",
        "sip:ei:pass@six.example:5073;p=1",
        "sip:six.example:5073;p=1",
        "sip:ivan@192.0.2.20",
        "sip:judy@192.0.2.20",
        "sip:bob:x@zero.example:5062;p=1",
        "sip:bob:x@zero.example:5062;p=1",
    ]


@about
def forking(script: Script) -> None:
    call = invite(script)
    assert [one.uri for one in call.forwarded] == [f"sip:bob@192.0.2.{host}" for host in (20, 21, 22)]
    answered = script.reply(call.forwarded[1], 200)
    assert answered.reply.status == 200 and script.reply(call.forwarded[0], 180).request.method == "CANCEL"
    options = script.request("OPTIONS sip:bob@example.com")
    assert options.reply.status == 300
    assert options.reply.header("Contact") == (
        "<sip:bob@192.0.2.21>;q=0.5, <sip:bob@192.0.2.22>, <sip:bob@192.0.2.20>, <sip:bob@192.0.2.23>"
    )
    message = script.request("MESSAGE sip:bob@example.com")
    hops = [one.next_hop for one in message.forwarded]
    assert hops == [f"192.0.2.{host}:5060" for host in (23, 21, 22, 99, 23)]


@about
def serial_forking(script: Script) -> None:
    result = invite(script)
    assert result.log[0].startswith("sip:high@192.0.2.21, ")
    assert [line.partition(",")[0] for line in result.log] == [
        "sip:high@192.0.2.21",
        "sip:middle@192.0.2.22",
        "sip:bob@example.com",
        "no more",
    ]
    assert "sip:also-middle@192.0.2.23" in result.log[1]


@about
def flags(script: Script) -> None:
    for _ in range(2):
        assert invite(script).log[:-1] == [
            "message flags", "branch flags", "flags of another branch", "script flags", "no such branch",
        ]  # fmt: skip
    assert invite(script).log[-1].split() == ["80000002", "2147483650", "00000008", "00000040"]


@about
def next_hop(script: Script) -> None:
    result = invite(script, "sip:bob@192.0.2.20")
    assert (result.request.uri, result.request.next_hop) == ("sip:bob@192.0.2.20", "192.0.2.99:5099")
    assert invite(script, "sip:direct@192.0.2.20").request.next_hop == "192.0.2.20:5060"


@about
def stateless(script: Script) -> None:
    uri = "sip:bob@192.0.2.20"
    assert invite(script, uri).request.next_hop == "192.0.2.20:5060"
    hops = {
        "MESSAGE": "192.0.2.50:5090",
        "INFO": "192.0.2.54:5060",
        "NOTIFY": "192.0.2.51:5091",
        "PUBLISH": "192.0.2.52:5060",
    }
    results = {method: script.request(f"{method} {uri}") for method in hops}
    assert {method: result.request.next_hop for method, result in results.items()} == hops
    assert len(results["MESSAGE"].request.headers("Via")) == 2
    assert results["NOTIFY"].request.data == results["NOTIFY"].received
    assert script.request(f"OPTIONS {uri}").reply.status == 476
    assert script.statistic("fwd_requests") == 3


@about
def sockets(script: Script) -> None:
    uri = "sip:bob@192.0.2.20"
    sent = {
        method: script.request(f"{method} {uri}").request for method in ("INVITE", "MESSAGE", "INFO", "NOTIFY", "BYE")
    }
    assert [one.listener for one in sent.values()] == [
        "udp:198.51.100.2:5070", "udp:198.51.100.2:5070", *["udp:198.51.100.1:5060"] * 3,
    ]  # fmt: skip
    assert [one.headers("Via")[0].partition(";")[0].split()[1] for one in sent.values()] == [
        "198.51.100.2:5070", "198.51.100.2:5070", "public.example.com:5099", "203.0.113.9", "198.51.100.1",
    ]  # fmt: skip


@about
def nat(script: Script) -> None:
    via = {"Via": "SIP/2.0/UDP 10.0.0.5:5080;branch=z9hG4bKnat"}
    answered = script.request("OPTIONS sip:a@b", headers=via)
    assert answered.reply.next_hop == "192.0.2.10:5060"
    assert answered.reply.header("Via") == f"{via['Via']};received=192.0.2.10;rport=5060"
    for method in ("INVITE", "MESSAGE"):
        top, below = script.request(f"{method} sip:bob@192.0.2.20", headers=via).request.headers("Via")
        assert top.endswith(";rport") and below.endswith(";received=192.0.2.10;rport=5060")


@about
def blacklist(script: Script) -> None:
    assert invite(script, "sip:bob@10.9.9.9").reply.status == 473
    assert script.request("MESSAGE sip:bob@192.168.3.3").reply.status == 473
    assert script.request("MESSAGE sip:bob@192.168.3.3:5070").forwarded
    assert invite(script, "sip:0043@192.0.2.50").reply.status == 473
    assert invite(script, "sip:4711@192.0.2.50").forwarded and script.request("MESSAGE sip:0043@192.0.2.50").forwarded
    assert invite(script, "sip:0043@192.0.2.50", source="192.0.2.1:5060").forwarded


# -- replies, errors, the log -----------------------------------------------------------------------------------


@about
def logging(script: Script) -> None:
    lines = script.request("OPTIONS sip:a@b").log
    assert lines[:3] == ["a warning", "an error", "now it is seen"]
    assert [line.level for line in lines[:3]] == ["WARNING", "ERROR", "DEBUG"]
    assert lines[3] == 'error("500", "no effect") does nothing'
    assert re.fullmatch(r"done: \d+ us since begin", lines[4]) and len(lines) == 5


@about
def replies(script: Script) -> None:
    call = invite(script, "sip:bob@192.0.2.20")
    progress = script.reply(call.request, 183)
    assert progress.dropped and progress.log == ["reply 183 Session Progress to INVITE", "dropped"]
    answered = script.reply(call.request, 200)
    assert answered.reply.status == 200 and answered.log[-1] == "answered"
    other = invite(script, "sip:bob@192.0.2.20")
    refused = script.reply(other.request, 486)
    assert refused.reply.status == 486 and refused.log[-1] == "negative"


@about
def malformed(script: Script) -> None:
    assert script.request("OPTIONS sip:a@b").log == ["sound"]
    result = script.request("OPTIONS sip:a@b", headers={"Max-Forwards": "x"})
    assert (result.reply.status, result.reply.reason) == (400, "I do not understand")
    assert result.log[-1] == "400 Malformed Max-Forwards"


@about
def answers(script: Script) -> None:
    call = invite(script)
    assert [(one.status, one.reason) for one in call.replies] == [(180, "Ringing"), (486, "busy with alice")]
    assert (call.reply.header("Server"), call.reply.header("Retry-After")) == ("ours", "60")
    assert [one.status for one in script.repeat(call).replies] == [486]
    assert [one.status for one in script.advance(0.6).replies] == [486]
    assert script.ack(call, call.reply).dropped and script.advance(5).dropped
    assert [one.status for one in script.request("MESSAGE sip:bob@example.com").replies] == [486]


@about
def blocks(script: Script) -> None:
    call = invite(script, "sip:bob@192.0.2.20")
    assert (call.log, len(call.forwarded)) == (["relaying"], 1)
    answered = script.reply(call.request, 180)
    assert (answered.log, answered.reply.status) == (["any reply"], 180)
    assert "error" in script.request("MESSAGE sip:bob@192.0.2.20", headers={"CSeq": "x"}).log
    routes, msg = script.core.routes, invite(script, "sip:busy@192.0.2.20").handled()
    run(routes.branch["1"], msg, BRANCH)
    assert msg.dropped
    run(routes.failure["1"], msg, FAILURE)
    assert (msg.dropped, msg.ruri, len(msg.branches)) == (False, b"sip:voicemail@192.0.2.60", 1)
    assert run(routes.onreply["1"], answered.handled(), ONREPLY) == 1


# -- modules ----------------------------------------------------------------------------------------------------


@about
def registrar(script: Script) -> None:
    assert script.register("bob", contact="sip:bob@192.0.2.20").reply.header("Contact") == (
        "<sip:bob@192.0.2.20>;expires=600"
    )
    call = invite(script)
    assert call.request.uri == "sip:bob@192.0.2.20" and call.request.header("Max-Forwards") == "69"
    answer = script.reply(call.request, 200).reply
    assert script.ack(call, answer).request.next_hop == "192.0.2.20:5060"
    assert script.within(call, answer, "BYE").request.method == "BYE"
    assert invite(script, "sip:nobody@example.com").reply.status == 480
    assert invite(script, headers={"Max-Forwards": "0"}).reply.status == 483
    assert invite(script, to_tag="old").reply.status == 404
    script.advance(700)
    assert invite(script).reply.status == 480


@about
def headers(script: Script) -> None:
    given: Headers = {"Subject": "x", "X-Secret": "42", "User-Agent": "phone"}
    sent = invite(script, "sip:+43123@example.com", headers=given, body=SDP).request
    assert sent.uri == "sip:0043123@example.com"
    assert (sent.header("X-Caller"), sent.header("X-First"), sent.header("Subject")) == ("alice", "1", None)
    assert (sent.header("X-Had-Subject"), sent.header("X-Secret"), sent.header("User-Agent")) == (
        "yes",
        "none",
        "seen phone",
    )
    assert sent.body == SDP.replace("m=video 4002", "m=video 0")
    plain = invite(script).request
    assert (plain.header("X-Had-Subject"), plain.header("X-First")) == (None, "1")


@about
def maintenance(script: Script) -> None:
    assert [script.request(f"{method} sip:a@b").reply.status for method in ("INFO", "MESSAGE", "INFO")] == [
        200,
        200,
        503,
    ]
    assert (script.statistic("accepted"), script.statistic("refused")) == (2, 1)
    script.mi("reset_gflag", "0x1")
    assert script.request("INFO sip:a@b").reply.status == 200
    script.request("CANCEL sip:a@b")
    assert (script.statistic("accepted"), script.statistic("refused")) == (3, 0)


@about
def numbers(script: Script) -> None:
    sent = invite(script, "tel:+43123").request
    assert sent.uri == "sip:0043123@198.51.100.1;user=phone;gw=1"
    assert (sent.header("Diversion"), sent.next_hop) == ("<tel:+43123>;reason=unconditional", "192.0.2.50:5060")
    assert invite(script, "sip:43123@example.com;user=phone").reply.status == 484
    assert invite(script, "sip:+43123@example.com").reply.status == 484
    assert script.request("OPTIONS sip:198.51.100.1").reply.header("Accept") == "application/sdp"
    assert script.request("OPTIONS sip:bob@198.51.100.1").reply.status == 484


@about
def hide_private(script: Script) -> None:
    sent = invite(script, "sip:bob@192.0.2.20", source="10.0.0.5:5070", body=SDP).request
    assert sent.header("Contact") == "<sip:inside*alice**10.0.0.5*5070*@198.51.100.1>"
    assert "c=IN IP4 198.51.100.1\r\nm=audio 5000 " in sent.body
    assert sent.header("Content-Length") == str(len(sent.body))
    back = script.request("BYE sip:inside*alice**10.0.0.5*5070*@198.51.100.1").request
    assert (back.uri, back.next_hop) == ("sip:alice@10.0.0.5:5070", "10.0.0.5:5070")
    inward = invite(script, "sip:inside*alice**10.0.0.5*5070*@198.51.100.1").request
    assert script.reply(inward, 200).reply.header("Contact") == "<sip:inside*callee**10.0.0.5*5070*@198.51.100.1>"


# -- together ---------------------------------------------------------------------------------------------------


def test_there_are_thirty_scripts_and_each_has_its_check() -> None:
    assert set(CHECKS) == set(PATHS) and len(PATHS) == 30


def used(name: str) -> bool:
    """Whether any of the scripts uses a word as a statement or function."""
    return any(re.search(rf"(?<![\w$]){name}\b", path.read_text()) for path in PATHS.values())


def test_together_they_use_every_statement_and_function_of_the_core() -> None:
    facts = [fact for fact in openser12.read("core_functions") if fact["name"] not in ("assignment", "module function")]
    names = [name for fact in facts for name in (fact["name"], *openser12.words(fact["aliases"]))]
    assert [name for name in names if not used(name)] == []


#: How the rows of core_expressions.tsv are recognised in a script.
MARKS = {
    "arithmetic %": r" % \d",
    "arithmetic &": r" & \d",
    "arithmetic *": r" \* \d",
    "arithmetic +": r" \+ ",
    "arithmetic -": r" - \d",
    "arithmetic /": r" / \d",
    "arithmetic = += -= *= /= %= &= |= ^=": r"(?s)\+=.*-=.*\*=.*/=.*%=.*&=.*\|=.*\^=",
    "arithmetic ^": r" \^ \d",
    "arithmetic null on the right": r"\) = null",
    "arithmetic unary + -": r"-3 - \+4",
    "arithmetic |": r" \| \d",
    "arithmetic ~": r"~\d",
    'lexical "string"': r"\\x41.*\\077",
    "lexical # comment": r"(?m)^#",
    "lexical 'string'": r"'raw",
    "lexical /* comment */": r"/\* a .*/\* .*\*/ .*\*/",
    "lexical boolean words": r"(?s)=no.*=off.*=disable.*=false.*=on.*=true",
    "lexical host name": r"phone\.example\.com",
    "lexical identifier": r"method==INVITE",
    "lexical IPv4 literal": r"==192\.0\.2\.10\b",
    "lexical IPv6 literal": r"(?s)==\[2001.*==2001",
    "lexical keywords": r"\band\b.*\bnot\b",
    "lexical line joining": r"== \\\n",
    "lexical network": r"/24.*/255\.255\.255\.0",
    "lexical number": r"0x10 \+ 010",
    "lexical proto words": r"(?s)udp.*UDP.*tcp.*TCP.*tls.*TLS.*any",
    "operand $name script variable": r"\$rU == bob",
    "operand [ expression ]": r"\(\[3 - 3\]\)",
    "operand af": r"af==inet .*af!=INET6",
    "operand assignment in parentheses": r"\(\(\$var\(a\) = 5\)\)",
    "operand bare $name": r"if \(\$rU\)",
    "operand bare number": r"\(1 && -1\)",
    "operand command call": r"if \(setflag",
    "operand dst_ip": r"dst_ip==",
    "operand dst_port": r"dst_port!=",
    "operand from_uri": r"from_uri=~",
    "operand max_len": r">= max_len",
    "operand method": r"method=~",
    "operand msg:len": r"msg:len",
    "operand myself": r"myself==uri|myself!=uri",
    "operand null": r"== null.*!= NULL",
    "operand proto": r"proto==1",
    "operand retcode (rc)": r"\$retcode == 5",
    "operand src_ip": r"src_ip==myself",
    "operand src_port": r"src_port>=",
    "operand to_uri": r"to_uri!=myself",
    "operand uri (alias status)": r'status=="183"',
    "operator !=": r"!=",
    "operator !~": r"!~",
    "operator ( )": r"or \(0",
    "operator < > <= >=": r"<= 7 .*> 7 .*>= 30",
    "operator ==": r"==",
    "operator =~": r"=~",
    "operator and (alias &&)": r"(?s)&&.* and ",
    "operator not (alias !)": r"(?s)!\(.* not ",
    "operator or (alias ||)": r"(?s)\|\|.* or ",
    "route branch_route[n] { }": r"branch_route\[1\]",
    "route error_route { }": r"error_route \{",
    "route failure_route[n] { }": r"failure_route\[1\]",
    "route onreply_route { }": r"onreply_route \{",
    "route onreply_route[n] { }": r"onreply_route\[1\]",
    "route route { } / route[n] { }": r"(?s)route\[1\].*",
    "statement ;": r";;",
    "statement function call name(args)": r'sl_send_reply\("200", "OK"\)',
    "statement if (expr) stmt [else stmt]": r"else if",
    'statement loadmodule "file"': r"loadmodule",
    'statement modparam("regex","param",value)': r'modparam\("usr\.\*',
    "statement switch ($pv) { case K: ... break; default: ... }": r"switch \(\$rU\)",
    "variable $(name) / $(name{transformation})": r"(?s)\$\(rU\).*\{uri",
    "variable $name": r"\$rm",
    "variable $name(inner) / $name(inner[index])": r"\$hdr\(Subject\)",
    "variable index [n], [-n], [*]": r"\[1\].*\[-1\].*\[\*\]",
    "variable {class.func,arg,...}": r"\{s\.substr,\$var",
}
#: What no script that can be loaded may hold, and what 1.2 has not.
NOT_IN_A_GOOD_SCRIPT = {"route redefinition", "statement while"}


def test_together_they_use_every_expression_of_the_language() -> None:
    texts = [path.read_text() for path in [*PATHS.values()]]
    rows = {f"{fact['category']} {fact['name']}" for fact in openser12.read("core_expressions")} - NOT_IN_A_GOOD_SCRIPT
    assert rows == set(MARKS)
    assert [row for row in rows if not any(re.search(MARKS[row], text) for text in texts)] == []
