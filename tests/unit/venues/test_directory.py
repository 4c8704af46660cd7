import pytest

from tapewire.venues.directory import Directory
from trading import instrument


def test_the_first_board_is_the_primary_one():
    directory = Directory([instrument("A"), instrument("A", board="SMAL"), instrument("B")])

    assert directory.position("MOEX", "A", "TQBR") == 0
    assert directory.position("MOEX", "A", "SMAL") == 1
    assert directory.position("MOEX", "A", "") == 0
    assert directory.position("MOEX", "B", "") == 2


@pytest.mark.parametrize(
    "names", [("MOEX", "C", ""), ("SPBX", "A", ""), ("MOEX", "A", "CETS"), ("MOEX", "a", "TQBR")]
)
def test_other_names_are_unknown(names):
    assert Directory([instrument("A")]).position(*names) is None


def test_a_double_listing_is_an_error():
    with pytest.raises(ValueError, match="A is listed twice on MOEX TQBR"):
        Directory([instrument("A"), instrument("A")])
