from math import pi

from kata.geometry import (
    add_points,
    are_parallel,
    are_perpendicular,
    bounding_box,
    box_surface,
    box_volume,
    centroid,
    chessboard_distance,
    circle_area,
    circle_circumference,
    cross_product,
    diagonal,
    distance_to_origin,
    dot_product,
    euclidean_distance,
    inside_circle,
    inside_rectangle,
    is_equilateral,
    is_horizontal,
    is_right_triangle,
    is_square_shape,
    is_triangle,
    is_vertical,
    leftmost,
    manhattan_distance,
    midpoint,
    mirror_x,
    mirror_y,
    quadrant,
    rectangle_area,
    rectangle_perimeter,
    rightmost,
    rotate_quarter,
    scale_point,
    slope,
    square_area,
    square_perimeter,
    subtract_points,
    swap_axes,
    trapezoid_area,
    triangle_area,
)


def test_add_points():
    assert add_points((1, 2), (3, 5)) == (4, 7)


def test_subtract_points():
    assert subtract_points((5, 9), (3, 2)) == (2, 7)


def test_scale_point():
    assert scale_point((2, 3), 4) == (8, 12)


def test_mirror_x():
    assert mirror_x((2, 3)) == (-2, 3)


def test_mirror_y():
    assert mirror_y((2, 3)) == (2, -3)


def test_swap_axes():
    assert swap_axes((2, 3)) == (3, 2)


def test_rotate_quarter():
    assert rotate_quarter((2, 3)) == (-3, 2)


def test_midpoint():
    assert midpoint((1, 2), (3, 8)) == (2, 5)


def test_euclidean_distance():
    assert euclidean_distance((1, 2), (4, 6)) == 5


def test_manhattan_distance():
    assert manhattan_distance((1, 2), (4, 6)) == 7
    assert manhattan_distance((4, 6), (1, 2)) == 7


def test_chessboard_distance():
    assert chessboard_distance((1, 2), (4, 6)) == 4
    assert chessboard_distance((4, 6), (1, 7)) == 3


def test_distance_to_origin():
    assert distance_to_origin((3, 4)) == 5


def test_dot_product():
    assert dot_product((1, 2), (3, 4)) == 11


def test_cross_product():
    assert cross_product((1, 2), (3, 5)) == -1


def test_are_perpendicular():
    assert are_perpendicular((1, 2), (-4, 2))
    assert not are_perpendicular((1, 2), (2, 4))


def test_are_parallel():
    assert are_parallel((1, 2), (2, 4))
    assert not are_parallel((1, 2), (4, 2))


def test_slope():
    assert slope((1, 2), (3, 8)) == 3


def test_is_vertical():
    assert is_vertical((1, 2), (1, 5))
    assert not is_vertical((1, 2), (3, 2))


def test_is_horizontal():
    assert is_horizontal((1, 2), (3, 2))
    assert not is_horizontal((1, 2), (1, 5))


def test_rectangle_area():
    assert rectangle_area(3, 4) == 12


def test_rectangle_perimeter():
    assert rectangle_perimeter(3, 4) == 14


def test_square_area():
    assert square_area(5) == 25


def test_square_perimeter():
    assert square_perimeter(5) == 20


def test_triangle_area():
    assert triangle_area(3, 4) == 6


def test_circle_area():
    assert circle_area(3) == 9 * pi


def test_circle_circumference():
    assert circle_circumference(3) == 6 * pi


def test_trapezoid_area():
    assert trapezoid_area(3, 5, 4) == 16


def test_diagonal():
    assert diagonal(3, 4) == 5


def test_box_volume():
    assert box_volume(2, 3, 4) == 24


def test_box_surface():
    assert box_surface(2, 3, 4) == 52


def test_is_square_shape():
    assert is_square_shape(3, 3)
    assert not is_square_shape(3, 4)


def test_is_triangle():
    assert is_triangle(3, 4, 5)
    assert not is_triangle(1, 2, 3)
    assert not is_triangle(3, 1, 2)
    assert not is_triangle(1, 3, 2)


def test_is_right_triangle():
    assert is_right_triangle(3, 4, 5)
    assert not is_right_triangle(3, 4, 6)


def test_is_equilateral():
    assert is_equilateral(2, 2, 2)
    assert not is_equilateral(2, 2, 3)
    assert not is_equilateral(3, 2, 2)


def test_inside_circle():
    assert inside_circle((4, 6), (1, 2), 5)
    assert not inside_circle((4, 7), (1, 2), 5)


def test_inside_rectangle():
    assert inside_rectangle((0, 4), 3, 4)
    assert inside_rectangle((3, 0), 3, 4)
    assert not inside_rectangle((4, 2), 3, 4)
    assert not inside_rectangle((2, -1), 3, 4)
    assert not inside_rectangle((-1, 2), 3, 4)


def test_quadrant():
    assert quadrant((1, 1)) == 1
    assert quadrant((-1, 1)) == 2
    assert quadrant((-1, -1)) == 3
    assert quadrant((1, -1)) == 4


def test_leftmost():
    assert leftmost([(2, 1), (1, 5), (3, 0)]) == (1, 5)


def test_rightmost():
    assert rightmost([(2, 1), (3, 5), (1, 7)]) == (3, 5)


def test_centroid():
    assert centroid([(0, 0), (2, 0), (4, 6)]) == (2, 2)


def test_bounding_box():
    assert bounding_box([(1, 5), (4, 2), (3, 7)]) == (1, 2, 4, 7)
