"""Tables that learn what they were asked for, up to a bound."""

from openserd.parser.learned import LONGEST_LEARNED, MOST_LEARNED, Learned


def test_a_text_is_read_once() -> None:
    asked = []

    def read(text: bytes) -> int:
        asked.append(text)
        return len(text)

    lengths = Learned(read)
    assert [lengths[b"abc"], lengths[b"abc"], lengths[b"de"]] == [3, 3, 2]
    assert asked == [b"abc", b"de"]


def test_learning_stops_at_its_bound() -> None:
    lengths = Learned(len)
    for number in range(MOST_LEARNED + 100):
        assert lengths[b"%08d" % number] == 8
    assert len(lengths) == MOST_LEARNED
    assert lengths[b"another"] == 7
    assert len(lengths) == MOST_LEARNED


def test_long_texts_are_not_learned() -> None:
    lengths = Learned(len)
    assert lengths[b"x" * (LONGEST_LEARNED + 1)] == LONGEST_LEARNED + 1
    assert not lengths
