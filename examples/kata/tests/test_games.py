from kata.games import (
    all_sixes,
    any_six,
    beats,
    best_dice,
    bishop_attacks,
    card_points,
    cell_number,
    cell_position,
    count_pieces,
    damage,
    goal_difference,
    hand_points,
    heal,
    is_alive,
    is_bust,
    is_dark_square,
    is_double,
    is_draw,
    is_flush,
    is_pair,
    is_straight,
    king_reaches,
    lead,
    league_points,
    level,
    loser,
    match_points,
    move_down,
    move_left,
    move_right,
    move_up,
    next_player,
    on_board,
    opposite_side,
    previous_player,
    rank_of,
    ranking,
    reroll_count,
    roll_total,
    rook_attacks,
    row_empty,
    row_full,
    win_rate,
    winner,
)


def test_roll_total():
    assert roll_total([3, 5]) == 8


def test_is_double():
    assert is_double([3, 3])
    assert not is_double([3, 5])


def test_all_sixes():
    assert all_sixes([6, 6])
    assert not all_sixes([6, 5])


def test_any_six():
    assert any_six([6, 5])
    assert not any_six([5, 5])


def test_opposite_side():
    assert opposite_side(2) == 5


def test_best_dice():
    assert best_dice([3, 5, 1], 2) == [5, 3]


def test_reroll_count():
    assert reroll_count([1, 3, 5, 2], 3) == 2


def test_winner():
    assert winner({"ann": 3, "bob": 5, "cid": 4}) == "bob"


def test_loser():
    assert loser({"bob": 5, "ann": 3, "cid": 4}) == "ann"


def test_is_draw():
    assert is_draw(2, 2)
    assert not is_draw(2, 1)


def test_match_points():
    assert match_points(2, 1) == 3
    assert match_points(1, 1) == 1
    assert match_points(0, 1) == 0


def test_goal_difference():
    assert goal_difference(5, 3) == 2


def test_league_points():
    assert league_points(4, 2) == 14


def test_win_rate():
    assert win_rate(3, 4) == 0.75


def test_lead():
    assert lead(3, 5) == 2
    assert lead(5, 3) == 2


def test_ranking():
    assert ranking({"ann": 3, "bob": 5, "cid": 4}) == ["bob", "cid", "ann"]


def test_rank_of():
    assert rank_of("ann", {"ann": 3, "bob": 5, "cid": 3}) == 2
    assert rank_of("bob", {"ann": 3, "bob": 5}) == 1


def test_next_player():
    assert next_player(2, 3) == 0
    assert next_player(0, 3) == 1


def test_previous_player():
    assert previous_player(0, 3) == 2


def test_beats():
    assert beats(1, 0)
    assert not beats(0, 1)
    assert not beats(1, 1)


def test_move_up():
    assert move_up((3, 5)) == (2, 5)


def test_move_down():
    assert move_down((3, 5)) == (4, 5)


def test_move_left():
    assert move_left((3, 5)) == (3, 4)


def test_move_right():
    assert move_right((3, 5)) == (3, 6)


def test_on_board():
    assert on_board((0, 7), 8)
    assert on_board((7, 0), 8)
    assert not on_board((8, 0), 8)
    assert not on_board((0, 8), 8)
    assert not on_board((-1, 0), 8)
    assert not on_board((0, -1), 8)


def test_is_dark_square():
    assert is_dark_square(0, 0)
    assert is_dark_square(1, 3)
    assert not is_dark_square(0, 1)


def test_rook_attacks():
    assert rook_attacks((1, 2), (1, 7))
    assert rook_attacks((1, 2), (5, 2))
    assert not rook_attacks((1, 2), (2, 1))


def test_bishop_attacks():
    assert bishop_attacks((1, 2), (3, 4))
    assert bishop_attacks((3, 4), (1, 6))
    assert not bishop_attacks((1, 2), (1, 4))


def test_king_reaches():
    assert king_reaches((1, 2), (2, 1))
    assert not king_reaches((1, 2), (3, 2))
    assert not king_reaches((1, 2), (1, 4))


def test_cell_number():
    assert cell_number(2, 3, 10) == 23


def test_cell_position():
    assert cell_position(23, 10) == (2, 3)


def test_row_full():
    assert row_full("xox")
    assert not row_full("x.x")


def test_row_empty():
    assert row_empty("...")
    assert not row_empty("x..")


def test_count_pieces():
    assert count_pieces(["x.o", "xx."], "x") == 3


def test_card_points():
    assert card_points("Q") == 10
    assert card_points("7") == 7


def test_hand_points():
    assert hand_points([13, 7, 2]) == 19


def test_is_bust():
    assert is_bust(22)
    assert not is_bust(21)


def test_is_pair():
    assert is_pair([3, 3, 5])
    assert not is_pair([3, 4, 5])
    assert not is_pair([3, 3, 3])


def test_is_flush():
    assert is_flush(["h", "h"])
    assert not is_flush(["h", "s"])


def test_is_straight():
    assert is_straight([5, 3, 4])
    assert not is_straight([3, 4, 6])


def test_level():
    assert level(0) == 1
    assert level(250) == 3


def test_damage():
    assert damage(7, 3) == 4
    assert damage(3, 7) == 0


def test_heal():
    assert heal(5, 3, 10) == 8
    assert heal(9, 3, 10) == 10


def test_is_alive():
    assert is_alive(1)
    assert not is_alive(0)
