from kata.words import (
    acronym,
    alliterates,
    as_question,
    as_sentence,
    average_word_length,
    bigrams,
    censor,
    common_words,
    contains_word,
    count_word,
    first_word,
    is_exclamation,
    is_pangram,
    is_question,
    last_word,
    line_count,
    longest_word,
    normalize_spaces,
    past_tense,
    pig_latin,
    plural_of,
    replace_word,
    reverse_each_word,
    reverse_words,
    rhymes,
    sentence_count,
    shortest_word,
    sorted_words,
    starts_with_vowel,
    stutter,
    unique_words,
    with_article,
    without_word,
    word_count,
    word_lengths,
    words_ending_with,
    words_longer_than,
    words_shorter_than,
    words_starting_with,
    wrap_words,
)


def test_word_count():
    assert word_count("a big cat") == 3


def test_line_count():
    assert line_count("a b\nc d") == 2


def test_first_word():
    assert first_word("a big cat") == "a"


def test_last_word():
    assert last_word("a big cat") == "cat"


def test_longest_word():
    assert longest_word("a big elephant ran") == "elephant"


def test_shortest_word():
    assert shortest_word("big a cat") == "a"


def test_average_word_length():
    assert average_word_length("ab abcd") == 3


def test_reverse_words():
    assert reverse_words("a big cat") == "cat big a"


def test_reverse_each_word():
    assert reverse_each_word("big cat") == "gib tac"


def test_sorted_words():
    assert sorted_words("big a cat") == ["a", "big", "cat"]


def test_unique_words():
    assert unique_words("The cat the dog") == ["cat", "dog", "the"]


def test_count_word():
    assert count_word("a cat a category", "cat") == 1


def test_contains_word():
    assert contains_word("a big cat", "big")
    assert not contains_word("a bigger cat", "big")


def test_words_longer_than():
    assert words_longer_than("a big elephant", 3) == ["elephant"]


def test_words_shorter_than():
    assert words_shorter_than("a big cat", 3) == ["a"]


def test_words_starting_with():
    assert words_starting_with("cat dog cow ac", "c") == ["cat", "cow"]


def test_words_ending_with():
    assert words_ending_with("cat dog goat to", "t") == ["cat", "goat"]


def test_word_lengths():
    assert word_lengths("a big cat") == [1, 3, 3]


def test_without_word():
    assert without_word("a big cat", "big") == "a cat"


def test_replace_word():
    assert replace_word("a big cat", "big", "red") == "a red cat"


def test_acronym():
    assert acronym("random access memory") == "RAM"


def test_is_question():
    assert is_question("why?")
    assert not is_question("? no")


def test_is_exclamation():
    assert is_exclamation("stop!")
    assert not is_exclamation("!stop")


def test_sentence_count():
    assert sentence_count("Hi! Who? Me.") == 3


def test_as_sentence():
    assert as_sentence("it Rains") == "It Rains."


def test_as_question():
    assert as_question("it rains.") == "it rains?"


def test_is_pangram():
    assert is_pangram("The quick brown fox jumps over the lazy dog")
    assert not is_pangram("hello world")


def test_starts_with_vowel():
    assert starts_with_vowel("apple")
    assert not starts_with_vowel("pear")


def test_with_article():
    assert with_article("apple") == "an apple"
    assert with_article("pear") == "a pear"


def test_plural_of():
    assert plural_of("cat") == "cats"
    assert plural_of("bus") == "buses"


def test_past_tense():
    assert past_tense("bake") == "baked"
    assert past_tense("walk") == "walked"


def test_pig_latin():
    assert pig_latin("python") == "ythonpay"


def test_rhymes():
    assert rhymes("cat", "hat")
    assert not rhymes("cat", "dot")


def test_alliterates():
    assert alliterates("big", "ball")
    assert not alliterates("cub", "bc")


def test_normalize_spaces():
    assert normalize_spaces("  a   b ") == "a b"


def test_wrap_words():
    assert wrap_words(["a", "b", "c"], 2) == ["a b", "c"]


def test_bigrams():
    assert bigrams(["a", "b", "c"]) == [("a", "b"), ("b", "c")]


def test_common_words():
    assert common_words("the big cat", "a big dog") == ["big"]


def test_censor():
    assert censor("oh darn it", "darn") == "oh **** it"


def test_stutter():
    assert stutter("hello") == "h-hello"
