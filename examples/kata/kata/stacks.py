"""Stacks, queues and inventories as lists and dictionaries."""


def push(stack, item):
    return [*stack, item]


def pop(stack):
    return stack[:-1]


def peek(stack):
    return stack[-1] if stack else None


def swap_top(stack):
    return [*stack[:-2], stack[-1], stack[-2]]


def duplicate_top(stack):
    return [*stack, stack[-1]]


def add_top(stack):
    return [*stack[:-2], stack[-2] + stack[-1]]


def subtract_top(stack):
    return [*stack[:-2], stack[-2] - stack[-1]]


def multiply_top(stack):
    return [*stack[:-2], stack[-2] * stack[-1]]


def enqueue(queue, item):
    return queue + [item]


def dequeue(queue):
    return queue[1:]


def front(queue):
    return queue[0] if queue else None


def push_front(queue, item):
    return [item, *queue]


def move_to_back(queue):
    return queue[1:] + queue[:1]


def move_to_front(queue):
    return queue[-1:] + queue[:-1]


def skip_ahead(queue, count):
    return queue[count:] + queue[:count]


def is_full(items, capacity):
    return len(items) >= capacity


def free_places(items, capacity):
    return capacity - len(items)


def place_in_queue(queue, name):
    return queue.index(name) + 1


def waiting_time(queue, name, minutes):
    return queue.index(name) * minutes


def keep_newest(items, count):
    return items[-count:]


def keep_oldest(items, count):
    return items[:count]


def add_stock(stock, item, count):
    return {**stock, item: stock.get(item, 0) + count}


def remove_stock(stock, item, count):
    return {**stock, item: max(0, stock[item] - count)}


def in_stock(stock, item):
    return stock.get(item, 0) > 0


def out_of_stock(stock):
    return [item for item, count in stock.items() if count == 0]


def low_stock(stock, limit):
    return [item for item, count in stock.items() if count < limit]


def stock_total(stock):
    return sum(stock.values())


def can_build(stock, parts):
    return all(stock.get(part, 0) >= count for part, count in parts.items())


def how_many(stock, parts):
    return min(stock[part] // count for part, count in parts.items())


def reorder_count(stock, wanted):
    return {item: wanted - count for item, count in stock.items() if count < wanted}
