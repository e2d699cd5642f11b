"""Words and sentences."""


def word_count(text):
    return len(text.split())


def line_count(text):
    return len(text.splitlines())


def first_word(text):
    return text.split()[0]


def last_word(text):
    return text.split()[-1]


def longest_word(text):
    return max(text.split(), key=len)


def shortest_word(text):
    return min(text.split(), key=len)


def average_word_length(text):
    words = text.split()
    return sum(len(word) for word in words) / len(words)


def reverse_words(text):
    return " ".join(text.split()[::-1])


def reverse_each_word(text):
    return " ".join(word[::-1] for word in text.split())


def sorted_words(text):
    return sorted(text.split())


def unique_words(text):
    return sorted(set(text.lower().split()))


def count_word(text, wanted):
    return text.split().count(wanted)


def contains_word(text, word):
    return word in text.split()


def words_longer_than(text, length):
    return [word for word in text.split() if len(word) > length]


def words_shorter_than(text, length):
    return [word for word in text.split() if len(word) < length]


def words_starting_with(text, letter):
    return [word for word in text.split() if word.startswith(letter)]


def words_ending_with(text, letter):
    return [word for word in text.split() if word.endswith(letter)]


def word_lengths(text):
    return [len(word) for word in text.split()]


def without_word(text, unwanted):
    return " ".join(word for word in text.split() if word != unwanted)


def replace_word(text, old, new):
    return " ".join(new if word == old else word for word in text.split())


def acronym(text):
    return "".join(word[0].upper() for word in text.split())


def is_question(text):
    return text.endswith("?")


def is_exclamation(text):
    return text.endswith("!")


def sentence_count(text):
    return sum(letter in ".!?" for letter in text)


def as_sentence(text):
    return text[:1].upper() + text[1:] + "."


def as_question(text):
    return text.rstrip(".") + "?"


def is_pangram(text):
    return set("abcdefghijklmnopqrstuvwxyz") <= set(text.lower())


def starts_with_vowel(word):
    return word[0] in "aeiou"


def with_article(noun):
    return "an " + noun if noun[0] in "aeiou" else "a " + noun


def plural_of(noun):
    return noun + "es" if noun.endswith("s") else noun + "s"


def past_tense(verb):
    return verb + "d" if verb.endswith("e") else verb + "ed"


def pig_latin(word):
    return word[1:] + word[0] + "ay"


def rhymes(a, b):
    return a[-2:] == b[-2:]


def alliterates(a, b):
    return a[0] == b[0]


def normalize_spaces(text):
    return " ".join(text.split())


def wrap_words(words, size):
    return [" ".join(words[i : i + size]) for i in range(0, len(words), size)]


def bigrams(words):
    return list(zip(words, words[1:]))


def common_words(a, b):
    return sorted(set(a.split()) & set(b.split()))


def censor(text, banned):
    return text.replace(banned, "*" * len(banned))


def stutter(word):
    return word[0] + "-" + word
