"""Plane shapes and points, which are pairs."""

from math import hypot, pi


def add_points(a, b):
    return a[0] + b[0], a[1] + b[1]


def subtract_points(a, b):
    return a[0] - b[0], a[1] - b[1]


def scale_point(point, factor):
    return point[0] * factor, point[1] * factor


def mirror_x(point):
    return -point[0], point[1]


def mirror_y(point):
    return point[0], -point[1]


def swap_axes(point):
    return point[1], point[0]


def rotate_quarter(point):
    return -point[1], point[0]


def midpoint(a, b):
    return (a[0] + b[0]) / 2, (a[1] + b[1]) / 2


def euclidean_distance(a, b):
    return hypot(a[0] - b[0], a[1] - b[1])


def manhattan_distance(a, b):
    return abs(a[0] - b[0]) + abs(a[1] - b[1])


def chessboard_distance(a, b):
    return max(abs(a[0] - b[0]), abs(a[1] - b[1]))


def distance_to_origin(point):
    return hypot(point[0], point[1])


def dot_product(a, b):
    return a[0] * b[0] + a[1] * b[1]


def cross_product(a, b):
    return a[0] * b[1] - a[1] * b[0]


def are_perpendicular(a, b):
    return a[0] * b[0] + a[1] * b[1] == 0


def are_parallel(a, b):
    return a[0] * b[1] == a[1] * b[0]


def slope(a, b):
    return (b[1] - a[1]) / (b[0] - a[0])


def is_vertical(a, b):
    return a[0] == b[0]


def is_horizontal(a, b):
    return a[1] == b[1]


def rectangle_area(width, height):
    return width * height


def rectangle_perimeter(width, height):
    return 2 * (width + height)


def square_area(side):
    return side * side


def square_perimeter(side):
    return 4 * side


def triangle_area(base, height):
    return base * height / 2


def circle_area(radius):
    return pi * radius**2


def circle_circumference(radius):
    return 2 * pi * radius


def trapezoid_area(a, b, height):
    return (a + b) * height / 2


def diagonal(width, height):
    return hypot(width, height)


def box_volume(width, height, depth):
    return width * height * depth


def box_surface(width, height, depth):
    return 2 * (width * height + height * depth + depth * width)


def is_square_shape(width, height):
    return width == height


def is_triangle(a, b, c):
    return a + b > c and b + c > a and c + a > b


def is_right_triangle(a, b, c):
    return a**2 + b**2 == c**2


def is_equilateral(a, b, c):
    return a == b == c


def inside_circle(point, center, radius):
    return hypot(point[0] - center[0], point[1] - center[1]) <= radius


def inside_rectangle(point, width, height):
    return 0 <= point[0] <= width and 0 <= point[1] <= height


def quadrant(point):
    x, y = point
    if x > 0:
        return 1 if y > 0 else 4
    return 2 if y > 0 else 3


def leftmost(points):
    return min(points)


def rightmost(points):
    return max(points)


def centroid(points):
    xs, ys = zip(*points)
    return sum(xs) / len(xs), sum(ys) / len(ys)


def bounding_box(points):
    xs, ys = zip(*points)
    return min(xs), min(ys), max(xs), max(ys)
