"""Boards, dice, cards and scores."""


def roll_total(dice):
    return sum(dice)


def is_double(dice):
    return dice[0] == dice[1]


def all_sixes(dice):
    return all(die == 6 for die in dice)


def any_six(dice):
    return any(die == 6 for die in dice)


def opposite_side(die):
    return 7 - die


def best_dice(dice, count):
    return sorted(dice, reverse=True)[:count]


def reroll_count(dice, limit):
    return sum(die < limit for die in dice)


def winner(scores):
    return max(scores, key=scores.get)


def loser(scores):
    return min(scores, key=scores.get)


def is_draw(home, away):
    return home == away


def match_points(goals, conceded):
    if goals > conceded:
        return 3
    return 1 if goals == conceded else 0


def goal_difference(goals, conceded):
    return goals - conceded


def league_points(wins, draws):
    return 3 * wins + draws


def win_rate(wins, games):
    return wins / games


def lead(home, away):
    return abs(home - away)


def ranking(scores):
    return sorted(scores, key=scores.get, reverse=True)


def rank_of(name, scores):
    return 1 + sum(score > scores[name] for score in scores.values())


def next_player(player, count):
    return (player + 1) % count


def previous_player(player, count):
    return (player - 1) % count


def beats(a, b):
    return (a - b) % 3 == 1


def move_up(position):
    return position[0] - 1, position[1]


def move_down(position):
    return position[0] + 1, position[1]


def move_left(position):
    return position[0], position[1] - 1


def move_right(position):
    return position[0], position[1] + 1


def on_board(position, size):
    return 0 <= position[0] < size and 0 <= position[1] < size


def is_dark_square(row, column):
    return (row + column) % 2 == 0


def rook_attacks(a, b):
    return a[0] == b[0] or a[1] == b[1]


def bishop_attacks(a, b):
    return abs(a[0] - b[0]) == abs(a[1] - b[1])


def king_reaches(a, b):
    return abs(a[0] - b[0]) <= 1 and abs(a[1] - b[1]) <= 1


def cell_number(row, column, width):
    return row * width + column


def cell_position(number, width):
    return number // width, number % width


def row_full(row):
    return all(cell != "." for cell in row)


def row_empty(row):
    return all(cell == "." for cell in row)


def count_pieces(board, piece):
    return sum(row.count(piece) for row in board)


def card_points(card):
    return 10 if card in "JQK" else int(card)


def hand_points(cards):
    return sum(min(card, 10) for card in cards)


def is_bust(points):
    return points > 21


def is_pair(hand):
    return len(set(hand)) == len(hand) - 1


def is_flush(suits):
    return len(set(suits)) == 1


def is_straight(cards):
    ordered = sorted(cards)
    return all(b - a == 1 for a, b in zip(ordered, ordered[1:]))


def level(experience):
    return experience // 100 + 1


def damage(attack, defense):
    return max(0, attack - defense)


def heal(health, amount, full):
    return min(full, health + amount)


def is_alive(health):
    return health > 0
