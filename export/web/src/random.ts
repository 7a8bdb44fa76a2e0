const GAMMA = 0x9e3779b97f4a7c15n;

/**
 * Random numbers that are the same in all clients, see "Random numbers" in docs/formats.md: SplitMix64 with a key that
 * is mixed from integers.
 */
export class Random {
  #state: bigint;

  /** @param names Integers from 0 to 2^53 - 1 that identify the stream. */
  constructor(names: readonly number[]) {
    this.#state = names.reduce((key, name) => mix(key ^ BigInt(name)), 0n);
  }

  /** Returns a uniform number in [0, 1). */
  unit(): number {
    const draw = mix(this.#state);
    this.#state = BigInt.asUintN(64, this.#state + GAMMA);
    return Number(draw >> 11n) * 2 ** -53;
  }

  /** Returns a uniform number in [low, high). */
  uniform(low: number, high: number): number {
    return low + (high - low) * this.unit();
  }

  /** Returns a uniform integer from 0 to `end - 1`. */
  integer(end: number): number {
    return Math.floor(end * this.unit());
  }

  /** Returns the integers from 0 to `count - 1` in random order. */
  permutation(count: number): number[] {
    const order = Array.from({ length: count }, (_, index) => index);
    for (let last = count - 1; last > 0; last--) {
      const other = this.integer(last + 1);
      [order[last], order[other]] = [order[other]!, order[last]!];
    }
    return order;
  }
}

function mix(value: bigint): bigint {
  let bits = BigInt.asUintN(64, value + GAMMA);
  bits = BigInt.asUintN(64, (bits ^ (bits >> 30n)) * 0xbf58476d1ce4e5b9n);
  bits = BigInt.asUintN(64, (bits ^ (bits >> 27n)) * 0x94d049bb133111ebn);
  return bits ^ (bits >> 31n);
}
