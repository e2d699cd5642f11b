from kata.colours import (
    add_colours,
    blue_of,
    brightness,
    contrast,
    darker,
    from_hex,
    green_of,
    grey,
    inverted,
    is_black,
    is_bright,
    is_dark,
    is_grey,
    is_reddish,
    is_white,
    lighter,
    mix,
    only_blue,
    only_red,
    red_of,
    same_colour,
    saturation,
    strongest_part,
    swap_red_and_blue,
    to_hex,
    weakest_part,
)


def test_grey():
    assert grey(7) == (7, 7, 7)


def test_red_of():
    assert red_of((1, 2, 3)) == 1


def test_green_of():
    assert green_of((1, 2, 3)) == 2


def test_blue_of():
    assert blue_of((1, 2, 3)) == 3


def test_inverted():
    assert inverted((0, 55, 255)) == (255, 200, 0)


def test_brightness():
    assert brightness((10, 20, 60)) == 30


def test_is_grey():
    assert is_grey((7, 7, 7))
    assert not is_grey((7, 7, 8))
    assert not is_grey((8, 7, 7))


def test_is_dark():
    assert is_dark((127, 127, 127))
    assert not is_dark((128, 128, 128))


def test_is_bright():
    assert is_bright((128, 128, 128))
    assert not is_bright((127, 127, 127))


def test_is_black():
    assert is_black((0, 0, 0))
    assert not is_black((0, 0, 1))


def test_is_white():
    assert is_white((255, 255, 255))
    assert not is_white((255, 254, 255))


def test_is_reddish():
    assert is_reddish((9, 5, 5))
    assert not is_reddish((5, 5, 1))
    assert not is_reddish((5, 1, 5))


def test_mix():
    assert mix((0, 100, 50), (100, 200, 51)) == (50, 150, 50)


def test_add_colours():
    assert add_colours((100, 200, 0), (50, 100, 0)) == (150, 255, 0)


def test_lighter():
    assert lighter((0, 100, 250), 10) == (10, 110, 255)


def test_darker():
    assert darker((5, 100, 250), 10) == (0, 90, 240)


def test_to_hex():
    assert to_hex((255, 0, 16)) == "#ff0010"


def test_from_hex():
    assert from_hex("#ff0010") == (255, 0, 16)


def test_strongest_part():
    assert strongest_part((1, 9, 3)) == 9


def test_weakest_part():
    assert weakest_part((4, 9, 3)) == 3


def test_contrast():
    assert contrast((10, 20, 30), (10, 10, 10)) == 30
    assert contrast((10, 10, 10), (10, 20, 30)) == 30


def test_saturation():
    assert saturation((10, 50, 30)) == 40


def test_only_red():
    assert only_red((1, 2, 3)) == (1, 0, 0)


def test_only_blue():
    assert only_blue((1, 2, 3)) == (0, 0, 3)


def test_swap_red_and_blue():
    assert swap_red_and_blue((1, 2, 3)) == (3, 2, 1)


def test_same_colour():
    assert same_colour((1, 2, 3), (1, 2, 3))
    assert not same_colour((1, 2, 3), (1, 5, 3))
