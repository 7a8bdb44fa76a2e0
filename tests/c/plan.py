"""The plan of a training run by docs/formats.md, in Python that shares no code with the package."""

import hashlib
import math

GAMMA, MASK = 0x9E3779B97F4A7C15, 2**64 - 1
STRENGTHS = {"none": (0, 0, 0, 0), "tf": (32 / 255, 0, 0.5, 0), "torch": (0.4, 0.4, 0.4, 0.1)}
COLORS = ("brightness", "contrast", "saturation", "hue")


def mix(x):
    z = (x + GAMMA) & MASK
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK
    z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK
    return z ^ z >> 31


class Stream:
    def __init__(self, *names):
        self.key, self.drawn = 0, 0
        for name in names:
            self.key = mix(self.key ^ name)

    def unit(self):
        draw = mix((self.key + self.drawn * GAMMA) & MASK)
        self.drawn += 1
        return (draw >> 11) * 2.0**-53

    def uniform(self, low, high):
        return low + (high - low) * self.unit()

    def integer(self, count):
        return math.floor(count * self.unit())

    def permutation(self, count):
        order = list(range(count))
        for last in range(count - 1, 0, -1):
            other = self.integer(last + 1)
            order[last], order[other] = order[other], order[last]
        return order


def order(seed, epoch, count):
    return Stream(seed, epoch, 0).permutation(count)


def places(seed, epoch, count, batch, step):
    """(photo, copy) of each place of a batch."""
    drawn = order(seed, epoch, count)
    return [(drawn[place % count], place // count) for place in range(step * batch, (step + 1) * batch)]


def rate(schedule, base, step, steps):
    return base if schedule == "constant" else base / 2 * (1 + math.cos(math.pi * step / steps))


def draw(seed, epoch, photo, copy, height, width, crop, area, aspect, flip, color):
    """Box (left, top, width, height) or None, flip, and [(color, amount)]."""
    stream = Stream(seed, epoch, photo + 1, *([copy] if copy else []))
    box = _box(stream, height, width, area, aspect) if crop else None
    flipped = bool(flip and stream.unit() < 0.5)
    colors = []
    if color != "none":
        for index in stream.permutation(4):
            strength = STRENGTHS[color][index]
            if strength:
                colors.append((COLORS[index], stream.uniform(-strength, strength)))
    return box, flipped, colors


def _box(stream, height, width, areas, aspects):
    for _ in range(10):
        area = height * width * stream.uniform(*areas)
        aspect = math.exp(stream.uniform(math.log(aspects[0]), math.log(aspects[1])))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            left = stream.integer(width - w + 1)
            return left, stream.integer(height - h + 1), w, h
    aspect = min(max(width / height, aspects[0]), aspects[1])
    w, h = min(width, max(1, round(height * aspect))), min(height, max(1, round(width / aspect)))
    return (width - w) // 2, (height - h) // 2, w, h


def is_held_out(content: bytes, seed: int) -> bool:
    """Whether a photo with this file is held out."""
    return is_held_out_by(hashlib.sha256(content).hexdigest(), seed)


def is_held_out_by(digest: str, seed: int) -> bool:
    """Whether a photo is held out whose file has this SHA-256, in hexadecimal."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{digest}".encode()).digest()[:4], "big") < 2**30
