"""Which block calls which, and from which kinds of route each can be reached."""

from collections.abc import Iterable
from typing import Final

from openserd.core.module import BRANCH, ERROR, FAILURE, ONREPLY, REQUEST
from openserd.script.tree import Block, Exit, If, Logic, Node, Not, Return, RouteCall, While, walk

KIND_NUMBERS: Final = {
    "route": REQUEST,
    "failure_route": FAILURE,
    "onreply_route": ONREPLY,
    "branch_route": BRANCH,
    "error_route": ERROR,
}
Key = tuple[int, str]  #: kind and canonical name


def key_of(block: Block) -> Key:
    """What a block is found by."""
    return KIND_NUMBERS[block.kind], block.name


class Graph:
    """The calls among the blocks of one script; where a block is defined twice the first counts."""

    def __init__(self, blocks: Iterable[Block]) -> None:
        self.blocks: dict[Key, Block] = {}
        for block in blocks:
            self.blocks.setdefault(key_of(block), block)
        self.calls = {
            key: [node for node in walk(block) if isinstance(node, RouteCall)] for key, block in self.blocks.items()
        }
        self.reached = {key: {key} for key in self.blocks if key == (REQUEST, "0") or key[0] != REQUEST}
        for origin in list(self.reached):
            self.follow(origin, origin, set())
        self.ending: dict[Key, bool] = {}  #: blocks that always end the script, as far as anybody has asked
        self.cyclic = {key for key in self.blocks if key in self.below(key)}
        self.tested = {call.name for block in self.blocks.values() for call in tested_calls(block)}

    def follow(self, origin: Key, at: Key, seen: set[Key]) -> None:
        """Notes that `origin` reaches everything that `at` calls."""
        seen.add(at)
        for called in self.called(at):
            self.reached.setdefault(called, set()).add(origin)
            if called not in seen:
                self.follow(origin, called, seen)

    def called(self, key: Key) -> list[Key]:
        """The blocks that exist and are called from one."""
        names = dict.fromkeys(call.name for call in self.calls.get(key, ()))
        return [(REQUEST, name) for name in names if (REQUEST, name) in self.blocks]

    def below(self, key: Key) -> set[Key]:
        """All blocks that can be reached by calls from one; itself only when it comes back."""
        found: set[Key] = set()
        todo = self.called(key)
        while todo:
            one = todo.pop()
            if one not in found:
                found.add(one)
                todo += self.called(one)
        return found

    def kinds(self, key: Key) -> int:
        """The kinds of route in which a block can run, its own among them, as bits."""
        kinds = key[0]
        for origin in self.reached.get(key, ()):
            kinds |= origin[0]
        return kinds

    def path(self, key: Key, kind: int) -> list[Block]:
        """The shortest way of calls from a block of `kind` to one that it reaches, both ends included."""
        ways = [[min(origin for origin in self.reached[key] if origin[0] == kind)]]
        seen = set(ways[0])
        for way in ways:
            if way[-1] == key:
                return [self.blocks[one] for one in way]
            further = [one for one in self.called(way[-1]) if one not in seen]
            seen.update(further)
            ways += [[*way, one] for one in further]
        raise AssertionError("a block is reached by a way that is not there")

    def ends_script(self, nodes: "tuple[Node, ...]") -> bool:
        """Whether statements always end the script."""
        return any(self.one_ends_script(node) for node in nodes)

    def one_ends_script(self, node: Node) -> bool:
        """Whether a statement always ends the script."""
        match node:
            case Exit():
                return True
            case Return():
                return node.value == 0
            case If():
                return self.ends_script(node.then) and self.ends_script(node.orelse or ())
            case RouteCall():
                return self.block_ends_script((REQUEST, node.name))
        return False

    def block_ends_script(self, key: Key) -> bool:
        """Whether a block always ends the script; one that is asked about while it is looked at does not."""
        if key not in self.ending:
            self.ending[key] = False
            block = self.blocks.get(key)
            self.ending[key] = block is not None and not self.leaves_early(block) and self.ends_script(block.body)
        return self.ending[key]

    @staticmethod
    def leaves_early(block: Block) -> bool:
        """Whether a block returns anywhere, other than by ending the script."""
        return any(isinstance(node, Return) and node.value != 0 for node in walk(block))


def tested_calls(node: Node) -> Iterable[RouteCall]:
    """The calls of blocks whose value a condition looks at."""
    for found in walk(node):
        conditions: tuple[Node, ...] = ()
        if isinstance(found, If | While | Not):
            conditions = (found.condition,)
        elif isinstance(found, Logic):
            conditions = (found.first, *(part for _, part in found.rest))
        yield from (one for one in conditions if isinstance(one, RouteCall))
