"""Prices, discounts, taxes and interest."""


def total_price(price, count):
    return price * count


def unit_price(total, count):
    return total / count


def with_tax(price, percent):
    return price * (100 + percent) / 100


def tax_of(price, percent):
    return price * percent / 100


def without_tax(price, percent):
    return price * 100 / (100 + percent)


def discounted(price, percent):
    return price * (100 - percent) / 100


def discount_of(price, percent):
    return price * percent / 100


def price_after_coupon(price, coupon):
    return max(0, price - coupon)


def cheapest(prices):
    return min(prices, key=prices.get)


def dearest(prices):
    return max(prices, key=prices.get)


def basket_total(basket, prices):
    return sum(prices[item] * count for item, count in basket.items())


def affordable(prices, budget):
    return [name for name, price in prices.items() if price <= budget]


def can_afford(price, money):
    return money >= price


def change_due(paid, price):
    return paid - price


def missing_money(price, money):
    return max(0, price - money)


def split_bill(total, people):
    return total / people


def tip(total, percent):
    return total * percent / 100


def with_tip(total, percent):
    return total + total * percent / 100


def profit(revenue, costs):
    return revenue - costs


def margin(revenue, costs):
    return (revenue - costs) / revenue


def is_profitable(revenue, costs):
    return revenue > costs


def break_even(fixed, price, cost):
    return fixed / (price - cost)


def simple_interest(amount, percent, years):
    return amount * percent * years / 100


def compound(amount, rate, years):
    return amount * (1 + rate) ** years


def years_to_double(amount, rate):
    goal, years = 2 * amount, 0
    while amount < goal:
        amount *= 1 + rate
        years += 1
    return years


def monthly_salary(yearly):
    return yearly / 12


def yearly_salary(monthly):
    return monthly * 12


def hourly_pay(rate, hours):
    return rate * hours


def overtime_pay(rate, hours):
    extra = max(0, hours - 40)
    return rate * (hours - extra) + rate * 2 * extra


def balance(deposits, withdrawals):
    return sum(deposits) - sum(withdrawals)


def is_overdrawn(balance):
    return balance < 0


def shipping_cost(total):
    return 0 if total >= 50 else 5


def bulk_price(price, count):
    return price * count * 9 / 10 if count >= 10 else price * count


def free_items(count):
    return count // 3


def coins_needed(amount, coins):
    used = 0
    for coin in sorted(coins, reverse=True):
        used += amount // coin
        amount %= coin
    return used


def exchange(amount, rate):
    return amount * rate


def percent_change(old, new):
    return (new - old) * 100 / old


def average_price(prices):
    return sum(prices) / len(prices)


def price_range(prices):
    return min(prices), max(prices)
