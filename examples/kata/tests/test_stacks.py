from kata.stacks import (
    add_stock,
    add_top,
    can_build,
    dequeue,
    duplicate_top,
    enqueue,
    free_places,
    front,
    how_many,
    in_stock,
    is_full,
    keep_newest,
    keep_oldest,
    low_stock,
    move_to_back,
    move_to_front,
    multiply_top,
    out_of_stock,
    peek,
    place_in_queue,
    pop,
    push,
    push_front,
    remove_stock,
    reorder_count,
    skip_ahead,
    stock_total,
    subtract_top,
    swap_top,
    waiting_time,
)


def test_push():
    assert push([1, 2], 3) == [1, 2, 3]


def test_pop():
    assert pop([1, 2, 3]) == [1, 2]


def test_peek():
    assert peek([1, 2, 3]) == 3
    assert peek([]) is None


def test_swap_top():
    assert swap_top([1, 2, 3]) == [1, 3, 2]


def test_duplicate_top():
    assert duplicate_top([1, 2]) == [1, 2, 2]


def test_add_top():
    assert add_top([1, 2, 3]) == [1, 5]


def test_subtract_top():
    assert subtract_top([1, 5, 3]) == [1, 2]


def test_multiply_top():
    assert multiply_top([1, 2, 3]) == [1, 6]


def test_enqueue():
    assert enqueue([1, 2], 3) == [1, 2, 3]


def test_dequeue():
    assert dequeue([1, 2, 3]) == [2, 3]


def test_front():
    assert front([1, 2, 3]) == 1
    assert front([]) is None


def test_push_front():
    assert push_front([1, 2], 3) == [3, 1, 2]


def test_move_to_back():
    assert move_to_back([1, 2, 3]) == [2, 3, 1]


def test_move_to_front():
    assert move_to_front([1, 2, 3]) == [3, 1, 2]


def test_skip_ahead():
    assert skip_ahead([1, 2, 3, 4], 3) == [4, 1, 2, 3]


def test_is_full():
    assert is_full([1, 2], 2)
    assert not is_full([1], 2)


def test_free_places():
    assert free_places([1, 2], 5) == 3


def test_place_in_queue():
    assert place_in_queue(["ann", "bob"], "bob") == 2


def test_waiting_time():
    assert waiting_time(["ann", "bob", "cid"], "cid", 5) == 10


def test_keep_newest():
    assert keep_newest([1, 2, 3, 4], 2) == [3, 4]


def test_keep_oldest():
    assert keep_oldest([1, 2, 3, 4], 3) == [1, 2, 3]


def test_add_stock():
    assert add_stock({"nut": 2}, "nut", 3) == {"nut": 5}
    assert add_stock({}, "nut", 3) == {"nut": 3}


def test_remove_stock():
    assert remove_stock({"nut": 5}, "nut", 3) == {"nut": 2}
    assert remove_stock({"nut": 2}, "nut", 3) == {"nut": 0}


def test_in_stock():
    assert in_stock({"nut": 1}, "nut")
    assert not in_stock({"nut": 0}, "nut")
    assert not in_stock({}, "nut")


def test_out_of_stock():
    assert out_of_stock({"nut": 0, "bolt": 3}) == ["nut"]


def test_low_stock():
    assert low_stock({"nut": 1, "bolt": 3, "nail": 2}, 2) == ["nut"]


def test_stock_total():
    assert stock_total({"nut": 1, "bolt": 3}) == 4


def test_can_build():
    assert can_build({"nut": 2}, {"nut": 2})
    assert not can_build({"nut": 1}, {"nut": 2})
    assert not can_build({}, {"nut": 1})


def test_how_many():
    assert how_many({"nut": 7, "bolt": 5}, {"nut": 2, "bolt": 1}) == 3


def test_reorder_count():
    assert reorder_count({"nut": 1, "bolt": 5, "nail": 7}, 5) == {"nut": 4}
