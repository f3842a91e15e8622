"""Header field names: a small number for each name the server knows, its spellings, its compact form.

Numbers are what the code compares; the registry of names and compact forms is IANA's "SIP Parameters" (RFC
3261 section 20 and its extensions).  Spellings met on the wire are learned, up to a bound, so that an odd one
costs a dictionary miss only once.
"""

import re
from typing import Final

from openserd.parser.learned import Learned

OTHER: Final = 0
VIA: Final = 1
FROM: Final = 2
TO: Final = 3
CALL_ID: Final = 4
CSEQ: Final = 5
CONTACT: Final = 6
ROUTE: Final = 7
RECORD_ROUTE: Final = 8
PATH: Final = 9
SERVICE_ROUTE: Final = 10
MAX_FORWARDS: Final = 11
CONTENT_LENGTH: Final = 12
CONTENT_TYPE: Final = 13
CONTENT_ENCODING: Final = 14
CONTENT_DISPOSITION: Final = 15
CONTENT_LANGUAGE: Final = 16
MIME_VERSION: Final = 17
EXPIRES: Final = 18
MIN_EXPIRES: Final = 19
ALLOW: Final = 20
ALLOW_EVENTS: Final = 21
SUPPORTED: Final = 22
REQUIRE: Final = 23
PROXY_REQUIRE: Final = 24
UNSUPPORTED: Final = 25
EVENT: Final = 26
SUBSCRIPTION_STATE: Final = 27
SIP_ETAG: Final = 28
SIP_IF_MATCH: Final = 29
AUTHORIZATION: Final = 30
PROXY_AUTHORIZATION: Final = 31
WWW_AUTHENTICATE: Final = 32
PROXY_AUTHENTICATE: Final = 33
AUTHENTICATION_INFO: Final = 34
ACCEPT: Final = 35
ACCEPT_ENCODING: Final = 36
ACCEPT_LANGUAGE: Final = 37
ACCEPT_CONTACT: Final = 38
REJECT_CONTACT: Final = 39
REQUEST_DISPOSITION: Final = 40
USER_AGENT: Final = 41
SERVER: Final = 42
DATE: Final = 43
TIMESTAMP: Final = 44
WARNING: Final = 45
RETRY_AFTER: Final = 46
SESSION_EXPIRES: Final = 47
MIN_SE: Final = 48
REMOTE_PARTY_ID: Final = 49
P_ASSERTED_IDENTITY: Final = 50
P_PREFERRED_IDENTITY: Final = 51
P_ASSOCIATED_URI: Final = 52
P_CALLED_PARTY_ID: Final = 53
P_ACCESS_NETWORK_INFO: Final = 54
P_CHARGING_VECTOR: Final = 55
PRIVACY: Final = 56
DIVERSION: Final = 57
HISTORY_INFO: Final = 58
REFER_TO: Final = 59
REFERRED_BY: Final = 60
REFER_SUB: Final = 61
REPLACES: Final = 62
JOIN: Final = 63
TARGET_DIALOG: Final = 64
IDENTITY: Final = 65
IDENTITY_INFO: Final = 66
SUBJECT: Final = 67
ORGANIZATION: Final = 68
PRIORITY: Final = 69
RESOURCE_PRIORITY: Final = 70
ALERT_INFO: Final = 71
CALL_INFO: Final = 72
ERROR_INFO: Final = 73
IN_REPLY_TO: Final = 74
REPLY_TO: Final = 75
REASON: Final = 76
RSEQ: Final = 77
RACK: Final = 78
SECURITY_CLIENT: Final = 79
SECURITY_SERVER: Final = 80
SECURITY_VERIFY: Final = 81
FLOW_TIMER: Final = 82
GEOLOCATION: Final = 83
USER_TO_USER: Final = 84
SESSION_ID: Final = 85
MAX_BREADTH: Final = 86

#: (id, canonical spelling, compact form or b"")
_REGISTRY: Final = (
    (VIA, b"Via", b"v"),
    (FROM, b"From", b"f"),
    (TO, b"To", b"t"),
    (CALL_ID, b"Call-ID", b"i"),
    (CSEQ, b"CSeq", b""),
    (CONTACT, b"Contact", b"m"),
    (ROUTE, b"Route", b""),
    (RECORD_ROUTE, b"Record-Route", b""),
    (PATH, b"Path", b""),
    (SERVICE_ROUTE, b"Service-Route", b""),
    (MAX_FORWARDS, b"Max-Forwards", b""),
    (CONTENT_LENGTH, b"Content-Length", b"l"),
    (CONTENT_TYPE, b"Content-Type", b"c"),
    (CONTENT_ENCODING, b"Content-Encoding", b"e"),
    (CONTENT_DISPOSITION, b"Content-Disposition", b""),
    (CONTENT_LANGUAGE, b"Content-Language", b""),
    (MIME_VERSION, b"MIME-Version", b""),
    (EXPIRES, b"Expires", b""),
    (MIN_EXPIRES, b"Min-Expires", b""),
    (ALLOW, b"Allow", b""),
    (ALLOW_EVENTS, b"Allow-Events", b"u"),
    (SUPPORTED, b"Supported", b"k"),
    (REQUIRE, b"Require", b""),
    (PROXY_REQUIRE, b"Proxy-Require", b""),
    (UNSUPPORTED, b"Unsupported", b""),
    (EVENT, b"Event", b"o"),
    (SUBSCRIPTION_STATE, b"Subscription-State", b""),
    (SIP_ETAG, b"SIP-ETag", b""),
    (SIP_IF_MATCH, b"SIP-If-Match", b""),
    (AUTHORIZATION, b"Authorization", b""),
    (PROXY_AUTHORIZATION, b"Proxy-Authorization", b""),
    (WWW_AUTHENTICATE, b"WWW-Authenticate", b""),
    (PROXY_AUTHENTICATE, b"Proxy-Authenticate", b""),
    (AUTHENTICATION_INFO, b"Authentication-Info", b""),
    (ACCEPT, b"Accept", b""),
    (ACCEPT_ENCODING, b"Accept-Encoding", b""),
    (ACCEPT_LANGUAGE, b"Accept-Language", b""),
    (ACCEPT_CONTACT, b"Accept-Contact", b"a"),
    (REJECT_CONTACT, b"Reject-Contact", b"j"),
    (REQUEST_DISPOSITION, b"Request-Disposition", b"d"),
    (USER_AGENT, b"User-Agent", b""),
    (SERVER, b"Server", b""),
    (DATE, b"Date", b""),
    (TIMESTAMP, b"Timestamp", b""),
    (WARNING, b"Warning", b""),
    (RETRY_AFTER, b"Retry-After", b""),
    (SESSION_EXPIRES, b"Session-Expires", b"x"),
    (MIN_SE, b"Min-SE", b""),
    (REMOTE_PARTY_ID, b"Remote-Party-ID", b""),
    (P_ASSERTED_IDENTITY, b"P-Asserted-Identity", b""),
    (P_PREFERRED_IDENTITY, b"P-Preferred-Identity", b""),
    (P_ASSOCIATED_URI, b"P-Associated-URI", b""),
    (P_CALLED_PARTY_ID, b"P-Called-Party-ID", b""),
    (P_ACCESS_NETWORK_INFO, b"P-Access-Network-Info", b""),
    (P_CHARGING_VECTOR, b"P-Charging-Vector", b""),
    (PRIVACY, b"Privacy", b""),
    (DIVERSION, b"Diversion", b""),
    (HISTORY_INFO, b"History-Info", b""),
    (REFER_TO, b"Refer-To", b"r"),
    (REFERRED_BY, b"Referred-By", b"b"),
    (REFER_SUB, b"Refer-Sub", b""),
    (REPLACES, b"Replaces", b""),
    (JOIN, b"Join", b""),
    (TARGET_DIALOG, b"Target-Dialog", b""),
    (IDENTITY, b"Identity", b"y"),
    (IDENTITY_INFO, b"Identity-Info", b"n"),
    (SUBJECT, b"Subject", b"s"),
    (ORGANIZATION, b"Organization", b""),
    (PRIORITY, b"Priority", b""),
    (RESOURCE_PRIORITY, b"Resource-Priority", b""),
    (ALERT_INFO, b"Alert-Info", b""),
    (CALL_INFO, b"Call-Info", b""),
    (ERROR_INFO, b"Error-Info", b""),
    (IN_REPLY_TO, b"In-Reply-To", b""),
    (REPLY_TO, b"Reply-To", b""),
    (REASON, b"Reason", b""),
    (RSEQ, b"RSeq", b""),
    (RACK, b"RAck", b""),
    (SECURITY_CLIENT, b"Security-Client", b""),
    (SECURITY_SERVER, b"Security-Server", b""),
    (SECURITY_VERIFY, b"Security-Verify", b""),
    (FLOW_TIMER, b"Flow-Timer", b""),
    (GEOLOCATION, b"Geolocation", b""),
    (USER_TO_USER, b"User-to-User", b""),
    (SESSION_ID, b"Session-ID", b""),
    (MAX_BREADTH, b"Max-Breadth", b""),
)

CANONICAL: Final[dict[int, bytes]] = {hid: name for hid, name, _ in _REGISTRY}
COMPACT: Final[dict[int, bytes]] = {hid: short for hid, _, short in _REGISTRY if short}

_TOKEN: Final = re.compile(rb"[A-Za-z0-9\-.!%*_+`'~]++")
_LOWER: Final[dict[bytes, int]] = {}


def known_id(name: bytes) -> int:
    """The id of a name, OTHER for an unknown one; case and white space round it are ignored."""
    return _LOWER.get(name.strip(b" \t").lower(), OTHER)


#: Spelling -> header id.
SPELLINGS: Final = Learned(known_id)


def _enter_registry() -> None:
    for hid, name, short in _REGISTRY:
        _LOWER[name.lower()] = hid
        if short:
            _LOWER[short] = hid
        for spelling in (name, short):
            SPELLINGS.update((form, hid) for form in (spelling, spelling.lower(), spelling.upper()) if form)


_enter_registry()


def header_id(name: bytes) -> int:
    """The id of a header field name in any case, long or compact (RFC 3261 7.3.3); OTHER if unknown."""
    return SPELLINGS[name]


def is_header_name(name: bytes) -> bool:
    """Whether `name` is a token, which every header field name has to be (RFC 3261 section 25.1)."""
    return _TOKEN.fullmatch(name) is not None
