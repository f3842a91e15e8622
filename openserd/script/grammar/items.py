"""The grammar of what stands outside of route blocks, and of their headings."""

from pyparsing import MatchFirst, Opt, ParserElement, ZeroOrMore

from openserd.script.grammar.literals import BLOCK_KIND, STRING, read_number, read_string
from openserd.script.grammar.tokens import (
    COLON,
    COMMA,
    LBRACE,
    LPAR,
    NAME,
    RBRACE,
    RPAR,
    SEMICOLON,
    STRING_TOKEN,
    Tokens,
    joined,
    token,
    value_of,
)
from openserd.script.tree import Blacklist, Block, LoadModule, ModParam, Setting, TlsDomain


def setting_of(_text: str, _at: int, toks: Tokens) -> Setting:
    """A global parameter."""
    name, values = toks[0], toks[1:]
    return Setting(name.start(1), values[-1].end, name[1], name.end(1), tuple(values))


def load_of(_text: str, _at: int, toks: Tokens) -> LoadModule:
    """A `loadmodule` line."""
    return LoadModule(toks[0].start(1), toks[1].end, toks[1])


def modparam_of(_text: str, _at: int, toks: Tokens) -> ModParam:
    """A `modparam` line."""
    return ModParam(toks[0].start(1), toks[3].end, toks[1], toks[2], toks[3])


def block_of(_text: str, _at: int, toks: Tokens) -> Block:
    """A route block; its heading ends before the brace."""
    head = toks[0]
    name = head[3]
    number = read_number(name) if name else None
    canonical = str(number) if number is not None else name or "0"
    body = toks[-1]
    return Block(head.start(1), head.end(1), head[2], canonical, body, head.end(), named=name is not None)


def blacklist_of(_text: str, _at: int, toks: Tokens) -> Blacklist:
    """A named list of destinations."""
    rules = tuple((len(rule) == 5, rule[-4:]) for rule in toks[2:])
    return Blacklist(toks[0].start(1), toks[1].end(1), toks[1][1], rules)


def domain_of(_text: str, _at: int, toks: Tokens) -> TlsDomain:
    """A TLS domain."""
    head = toks[0]
    address = head[3]
    return TlsDomain(
        head.start(1), head.end(1), head[2], read_string(address) if address[0] in "\"'" else address, tuple(toks[1:])
    )


def setting_grammar() -> ParserElement:
    """`name = value ...`: a further value is none that begins the next item."""
    number_or_word = r"(?:[A-Za-z]+:)?\[[\w:.]+\](?::\w+)?|[-+]?[\w*:](?:[\w.:*/]|-(?=\w))*"
    first = token(rf"{STRING}|(?!\w+\s*=(?!=))(?:{number_or_word})", "a value").set_parse_action(value_of)
    further = token(
        rf"{STRING}|(?!(?:loadmodule|modparam|{BLOCK_KIND}|tls_\w+_domain)\b)(?:{number_or_word})"
        r"(?![\w.:*/-]|\s*=)",
        "a value",
    ).set_parse_action(value_of)
    equals = token("=", "'='").suppress()
    rest = joined(ZeroOrMore(joined(further)))
    return joined(NAME + equals - first + rest).set_parse_action(setting_of)


def item_grammar(block: ParserElement) -> ParserElement:
    """What stands outside of route blocks."""
    string = STRING_TOKEN.copy().set_parse_action(value_of)
    number = token(r"[-+]?[ \t]*[A-Za-z0-9]\w*", "a number").set_parse_action(value_of)
    modvalue = joined(MatchFirst([string, number]), "a string or a number")
    comma = COMMA
    load = joined(token(r"loadmodule\b", "loadmodule") - string).set_parse_action(load_of)
    modparam = joined(
        token(r"modparam\b", "modparam") - LPAR - string - comma - string - comma - modvalue - RPAR
    ).set_parse_action(modparam_of)
    head = token(rf"({BLOCK_KIND})\b\s*(?:\[\s*([\w.-]+)\s*\])?(?=\s*[{{(;])", "a route block")
    route = joined(head - block).set_parse_action(block_of)
    setting = setting_grammar()
    rule_value = joined(token(f"{STRING}|[^\\s,\"'(){{}}]+", "a value")).set_parse_action(value_of)
    rule = joined(
        joined(Opt(token("!", "!")))
        + LPAR
        - rule_value
        - comma
        - rule_value
        - comma
        - rule_value
        - comma
        - rule_value
        - RPAR
    )
    rule.set_parse_action(lambda _text, _at, toks: [tuple(toks)])
    blacklist = joined(
        token(r"dst_blacklist\b", "dst_blacklist")
        - token("=", "'='").suppress()
        - NAME
        - COLON
        - LBRACE
        - rule
        - joined(ZeroOrMore(joined(comma - rule)))
        - RBRACE
    )
    domain_head = token(rf"(tls_(?:server|client)_domain)\s*\[\s*({STRING}|[^\]\s]+)\s*\]", "a TLS domain")
    settings = joined(ZeroOrMore(joined(setting + joined(Opt(SEMICOLON)))))
    domain = joined(domain_head - LBRACE - settings - RBRACE)
    return joined(
        MatchFirst(
            [
                load,
                modparam,
                route,
                blacklist.set_parse_action(blacklist_of),
                domain.set_parse_action(domain_of),
                setting,
            ]
        ),
        "an item",
    )
