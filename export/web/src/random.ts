/** Random numbers that depend on whole numbers alone: sfc32, seeded by mixing them in one after the other. */
export class Random {
  #a = 0x9e3779b9;
  #b = 0x243f6a88;
  #c = 0xb7e15162;
  #counter = 1;

  /** @param seeds Whole numbers; others give an independent sequence. */
  constructor(seeds: readonly number[]) {
    for (const seed of seeds) {
      this.#a ^= seed | 0;
      this.#b ^= Math.floor(seed / 2 ** 32) | 0;
      for (let i = 0; i < 12; i++) {
        this.#bits();
      }
    }
  }

  /** Uniform in [low, high). */
  uniform(low: number, high: number): number {
    return low + ((high - low) * this.#bits()) / 2 ** 32;
  }

  /** A whole number from 0 to below `end`. */
  integer(end: number): number {
    return Math.floor(this.uniform(0, end));
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

  #bits(): number {
    const sum = (this.#a + this.#b + this.#counter++) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }
}
