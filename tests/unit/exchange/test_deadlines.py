from tapewire.exchange.deadlines import Deadlines


def test_what_is_due_comes_earliest_first_then_by_number():
    deadlines = Deadlines()
    for number, at_ns in ((3, 10), (1, 20), (2, 10), (4, 30)):
        deadlines.set(number, at_ns)

    assert deadlines.first_ns() == 10
    assert deadlines.pop_until(20) == [2, 3, 1]
    assert deadlines.first_ns() == 30
    assert len(deadlines) == 1


def test_a_moved_or_dropped_moment_does_not_come():
    deadlines = Deadlines()
    deadlines.set(1, 10)
    deadlines.set(1, 50)
    deadlines.set(2, 10)
    deadlines.drop(2)
    deadlines.drop(7)

    assert deadlines.first_ns() == 50
    assert deadlines.pop_until(49) == []
    assert deadlines.pop_until(50) == [1]
    assert deadlines.first_ns() is None


def test_a_number_that_is_set_again_and_again_takes_no_more_room():
    deadlines = Deadlines()
    deadlines.set(2, 10**9)
    for at_ns in range(10_000):
        deadlines.set(1, at_ns)

    assert len(deadlines._heap) < 100
    assert deadlines.pop_until(10_000) == [1]
