"""Matrices as lists of rows."""


def row_count(matrix):
    return len(matrix)


def column_count(matrix):
    return len(matrix[0])


def cell_count(matrix):
    return len(matrix) * len(matrix[0])


def shape(matrix):
    return len(matrix), len(matrix[0])


def is_square_matrix(matrix):
    return len(matrix) == len(matrix[0])


def row(matrix, index):
    return matrix[index]


def column(matrix, index):
    return [cells[index] for cells in matrix]


def first_column(matrix):
    return [cells[0] for cells in matrix]


def last_column(matrix):
    return [cells[-1] for cells in matrix]


def first_row(matrix):
    return matrix[0]


def last_row(matrix):
    return matrix[-1]


def transpose(matrix):
    return [list(cells) for cells in zip(*matrix)]


def zeros(rows, columns):
    return [[0] * columns for _ in range(rows)]


def ones(rows, columns):
    return [[1] * columns for _ in range(rows)]


def identity(size):
    return [[int(i == j) for j in range(size)] for i in range(size)]


def main_diagonal(matrix):
    return [matrix[i][i] for i in range(len(matrix))]


def other_diagonal(matrix):
    return [matrix[i][-i - 1] for i in range(len(matrix))]


def trace(matrix):
    return sum(matrix[i][i] for i in range(len(matrix)))


def determinant(matrix):
    return matrix[0][0] * matrix[1][1] - matrix[0][1] * matrix[1][0]


def add_matrices(a, b):
    return [[x + y for x, y in zip(p, q)] for p, q in zip(a, b)]


def subtract_matrices(a, b):
    return [[x - y for x, y in zip(p, q)] for p, q in zip(a, b)]


def scale_matrix(matrix, factor):
    return [[cell * factor for cell in cells] for cells in matrix]


def negate_matrix(matrix):
    return [[-cell for cell in cells] for cells in matrix]


def multiply_matrices(a, b):
    return [[sum(x * y for x, y in zip(p, q)) for q in zip(*b)] for p in a]


def flip_rows(matrix):
    return matrix[::-1]


def flip_columns(matrix):
    return [cells[::-1] for cells in matrix]


def row_sums(matrix):
    return [sum(cells) for cells in matrix]


def column_sums(matrix):
    return [sum(cells) for cells in zip(*matrix)]


def row_maxima(matrix):
    return [max(cells) for cells in matrix]


def row_minima(matrix):
    return [min(cells) for cells in matrix]


def largest_cell(matrix):
    return max(max(cells) for cells in matrix)


def smallest_cell(matrix):
    return min(min(cells) for cells in matrix)


def matrix_sum(matrix):
    return sum(sum(cells) for cells in matrix)


def without_row(matrix, index):
    return matrix[:index] + matrix[index + 1 :]


def without_column(matrix, index):
    return [cells[:index] + cells[index + 1 :] for cells in matrix]


def is_symmetric(matrix):
    return matrix == [list(cells) for cells in zip(*matrix)]


def count_in_matrix(matrix, wanted):
    return sum(cells.count(wanted) for cells in matrix)


def position_in_matrix(matrix, wanted):
    for i, cells in enumerate(matrix):
        if wanted in cells:
            return i, cells.index(wanted)
    return None
