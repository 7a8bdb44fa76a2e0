const GAMMA = 0x9e3779b97f4a7c15n;

/**
 * Random numbers of docs/formats.md, "Random numbers": the same in all clients. SplitMix64, started at a key mixed from
 * integers one after the other.
 */
export class Random {
  #state: bigint;

  /** @param names Whole numbers from 0 to 2^53 - 1 that name the stream. */
  constructor(names: readonly number[]) {
    this.#state = names.reduce((key, name) => mix(key ^ BigInt(name)), 0n);
  }

  /** Uniform in [0, 1). */
  unit(): number {
    const draw = mix(this.#state);
    this.#state = BigInt.asUintN(64, this.#state + GAMMA);
    return Number(draw >> 11n) * 2 ** -53;
  }

  /** Uniform in [low, high). */
  uniform(low: number, high: number): number {
    return low + (high - low) * this.unit();
  }

  /** An integer from 0 to below `end`. */
  integer(end: number): number {
    return Math.floor(end * this.unit());
  }

  /** The numbers from 0 to below `count`, in random order. */
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
