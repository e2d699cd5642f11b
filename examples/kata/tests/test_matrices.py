from kata.matrices import (
    add_matrices,
    cell_count,
    column,
    column_count,
    column_sums,
    count_in_matrix,
    determinant,
    first_column,
    first_row,
    flip_columns,
    flip_rows,
    identity,
    is_square_matrix,
    is_symmetric,
    largest_cell,
    last_column,
    last_row,
    main_diagonal,
    matrix_sum,
    multiply_matrices,
    negate_matrix,
    ones,
    other_diagonal,
    position_in_matrix,
    row,
    row_count,
    row_maxima,
    row_minima,
    row_sums,
    scale_matrix,
    shape,
    smallest_cell,
    subtract_matrices,
    trace,
    transpose,
    without_column,
    without_row,
    zeros,
)


def test_row_count():
    assert row_count([[1, 2, 3], [4, 5, 6]]) == 2


def test_column_count():
    assert column_count([[1, 2, 3], [4, 5, 6]]) == 3


def test_cell_count():
    assert cell_count([[1, 2, 3], [4, 5, 6]]) == 6


def test_shape():
    assert shape([[1, 2, 3], [4, 5, 6]]) == (2, 3)


def test_is_square_matrix():
    assert is_square_matrix([[1, 2], [3, 4]])
    assert not is_square_matrix([[1, 2]])


def test_row():
    assert row([[1, 2], [3, 4]], 1) == [3, 4]


def test_column():
    assert column([[1, 2], [3, 4]], 1) == [2, 4]


def test_first_column():
    assert first_column([[1, 2], [3, 4]]) == [1, 3]


def test_last_column():
    assert last_column([[1, 2, 5], [3, 4, 6]]) == [5, 6]


def test_first_row():
    assert first_row([[1, 2], [3, 4]]) == [1, 2]


def test_last_row():
    assert last_row([[1, 2], [3, 4], [5, 6]]) == [5, 6]


def test_transpose():
    assert transpose([[1, 2], [3, 4]]) == [[1, 3], [2, 4]]


def test_zeros():
    assert zeros(2, 3) == [[0, 0, 0], [0, 0, 0]]


def test_ones():
    assert ones(2, 3) == [[1, 1, 1], [1, 1, 1]]


def test_identity():
    assert identity(2) == [[1, 0], [0, 1]]


def test_main_diagonal():
    assert main_diagonal([[1, 2], [3, 4]]) == [1, 4]


def test_other_diagonal():
    assert other_diagonal([[1, 2], [3, 4]]) == [2, 3]


def test_trace():
    assert trace([[1, 2], [3, 4]]) == 5


def test_determinant():
    assert determinant([[1, 2], [3, 5]]) == -1


def test_add_matrices():
    assert add_matrices([[1, 2]], [[3, 5]]) == [[4, 7]]


def test_subtract_matrices():
    assert subtract_matrices([[5, 2]], [[3, 1]]) == [[2, 1]]


def test_scale_matrix():
    assert scale_matrix([[1, 2], [3, 4]], 3) == [[3, 6], [9, 12]]


def test_negate_matrix():
    assert negate_matrix([[1, -2]]) == [[-1, 2]]


def test_multiply_matrices():
    assert multiply_matrices([[1, 2]], [[3], [4]]) == [[11]]


def test_flip_rows():
    assert flip_rows([[1, 2], [3, 4]]) == [[3, 4], [1, 2]]


def test_flip_columns():
    assert flip_columns([[1, 2], [3, 4]]) == [[2, 1], [4, 3]]


def test_row_sums():
    assert row_sums([[1, 2], [3, 4]]) == [3, 7]


def test_column_sums():
    assert column_sums([[1, 2], [3, 4]]) == [4, 6]


def test_row_maxima():
    assert row_maxima([[1, 2], [4, 3]]) == [2, 4]


def test_row_minima():
    assert row_minima([[1, 2], [4, 3]]) == [1, 3]


def test_largest_cell():
    assert largest_cell([[1, 2], [4, 3]]) == 4


def test_smallest_cell():
    assert smallest_cell([[4, 2], [3, 1]]) == 1


def test_matrix_sum():
    assert matrix_sum([[1, 2], [3, 4]]) == 10


def test_without_row():
    assert without_row([[1], [2], [3]], 1) == [[1], [3]]


def test_without_column():
    assert without_column([[1, 2, 3]], 1) == [[1, 3]]


def test_is_symmetric():
    assert is_symmetric([[1, 2], [2, 3]])
    assert not is_symmetric([[1, 2], [3, 4]])


def test_count_in_matrix():
    assert count_in_matrix([[1, 2], [1, 1]], 1) == 3


def test_position_in_matrix():
    assert position_in_matrix([[1, 2], [3, 4]], 4) == (1, 1)
    assert position_in_matrix([[1, 2], [3, 4]], 3) == (1, 0)
    assert position_in_matrix([[1]], 2) is None
