import unittest

from tally.amounts import BadAmount, median, parse
from tally.ledger import Ledger


class TestMedian(unittest.TestCase):
    def test_odd(self):
        self.assertEqual(median([5, 1, 3]), 3)

    def test_even(self):
        self.assertEqual(median([4, 1, 3, 2]), 2.5)

    def test_even_almost(self):
        self.assertAlmostEqual(median([1, 2]), 1.5)


class TestLedgerCase(unittest.TestCase):
    def setUp(self):
        self.ledger = Ledger()
        self.ledger.add("rent", 700)
        self.ledger.add("food", 125)

    def test_names(self):
        self.assertCountEqual(self.ledger.names(), ["food", "rent"])

    def test_totals(self):
        self.assertDictEqual(self.ledger.totals(), {"rent": 700, "food": 125})

    def test_contains(self):
        self.assertIn("rent", self.ledger)
        self.assertNotIn("fees", self.ledger)

    def test_find(self):
        self.assertIsNone(self.ledger.find("fees"))

    def test_refused(self):
        self.assertRaises(BadAmount, parse, "x")
        with self.assertRaisesRegex(BadAmount, "one"):
            parse("one")
