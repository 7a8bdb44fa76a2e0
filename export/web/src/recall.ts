import type { Labels } from "./tasks.js";

/** Figures of one class. */
export interface ClassFigures {
  readonly name: string;
  /** Photos of the class. */
  readonly images: number;
  /** Those with a correct prediction. */
  readonly right: number;
  /** right / images; not known without photos of the class. */
  readonly recall: number | undefined;
}

/** Figures of one attribute. */
export interface AttributeFigures {
  readonly name: string;
  /** All photos. */
  readonly images: number;
  /** Photos that have the attribute. */
  readonly positives: number;
  /** Those with a correct prediction. */
  readonly truePositives: number;
  /** Photos that were predicted to have it and do not. */
  readonly falsePositives: number;
  /** truePositives / all that were predicted to have it; unknown if nothing was. */
  readonly precision: number | undefined;
  /** truePositives / positives; unknown without positives. */
  readonly recall: number | undefined;
}

/** Figures of one number that a regression predicts. */
export interface RegressionFigures {
  readonly name: string;
  /** All photos or arrays. */
  readonly images: number;
  /** Mean magnitude of the error. */
  readonly absoluteError: number;
  /** Mean square of the error. */
  readonly squaredError: number;
  /** Of the labels: the mean square of the error of their mean. */
  readonly variance: number;
  /** 1 - squaredError / variance: 1 is perfect, 0 is as good as the labels' mean; not known where all labels are equal. */
  readonly r2: number | undefined;
}

/** Figures by class or attribute; rare ones count as much as frequent ones. */
export interface RecallFigures {
  /**
   * Mean recall of the classes that have photos; with attributes the mean of (recall + share of the right answers for
   * photos without it) / 2 over the attributes that have both kinds; unknown without such an attribute.
   */
  readonly balancedAccuracy: number | undefined;
  /** With one class for each photo: of each class in use, in the order of the outputs. */
  readonly classes?: readonly ClassFigures[];
  /**
   * With one class for each photo: `confusion[label][prediction]`, the number of photos of a class for which a class was
   * predicted, in the order of the outputs.
   */
  readonly confusion?: readonly (readonly number[])[];
  /** With several attributes: of each, in the order of the outputs. */
  readonly attributes?: readonly AttributeFigures[];
  /** Of a regression: of each number, in the order of the outputs. */
  readonly outputs?: readonly RegressionFigures[];
}

/** Counts answers. */
export interface Tally {
  add(logits: Float32Array, label: Labels): void;
  figures(): RecallFigures;
}

/** Answers by class. */
export class ClassTally implements Tally {
  readonly #confusion: number[][];

  constructor(private readonly names: readonly string[]) {
    this.#confusion = names.map(() => names.map(() => 0));
  }

  add(logits: Float32Array, label: Labels): void {
    // A spare output without a name is never the largest: its bias is far below all others.
    this.#confusion[label[0]!]![logits.indexOf(Math.max(...logits))]!++;
  }

  figures(): RecallFigures {
    const classes = this.names.map((name, index) => {
      const predicted = this.#confusion[index]!;
      const [images, right] = [predicted.reduce((sum, count) => sum + count, 0), predicted[index]!];
      return { name, images, right, recall: share(right, images) };
    });
    return {
      balancedAccuracy: mean(known(classes.map(({ recall }) => recall))),
      classes,
      confusion: this.#confusion,
    };
  }
}

/** Answers by attribute. A label above 0.5 means that the photo has it. */
export class AttributeTally implements Tally {
  readonly #counts: { positives: number; truePositives: number; falsePositives: number }[];
  #images = 0;

  constructor(private readonly names: readonly string[]) {
    this.#counts = names.map(() => ({ positives: 0, truePositives: 0, falsePositives: 0 }));
  }

  add(logits: Float32Array, label: Labels): void {
    this.#images++;
    this.#counts.forEach((counts, index) => {
      const [has, said] = [label[index]! > 0.5, logits[index]! > 0];
      counts.positives += has ? 1 : 0;
      counts.truePositives += has && said ? 1 : 0;
      counts.falsePositives += !has && said ? 1 : 0;
    });
  }

  figures(): RecallFigures {
    const attributes = this.names.map((name, index) => {
      const { positives, truePositives, falsePositives } = this.#counts[index]!;
      return {
        name,
        images: this.#images,
        positives,
        truePositives,
        falsePositives,
        precision: share(truePositives, truePositives + falsePositives),
        recall: share(truePositives, positives),
      };
    });
    const balanced = attributes.map(({ images, positives, falsePositives, recall }) => {
      const falseShare = share(falsePositives, images - positives);
      return recall === undefined || falseShare === undefined ? undefined : (recall + 1 - falseShare) / 2;
    });
    return { balancedAccuracy: mean(known(balanced)), attributes };
  }
}

/** Errors by predicted number. */
export class RegressionTally implements Tally {
  readonly #sums: { absolute: number; squared: number; mean: number; deviation: number }[];
  #images = 0;

  constructor(private readonly names: readonly string[]) {
    this.#sums = names.map(() => ({ absolute: 0, squared: 0, mean: 0, deviation: 0 }));
  }

  add(predictions: Float32Array, label: Labels): void {
    this.#images++;
    this.#sums.forEach((sums, index) => {
      const [value, error] = [label[index]!, predictions[index]! - label[index]!];
      sums.absolute += Math.abs(error);
      sums.squared += error ** 2;
      // Welford's update: exactly 0 for equal labels, and precise for labels far from 0.
      const difference = value - sums.mean;
      sums.mean += difference / this.#images;
      sums.deviation += difference * (value - sums.mean);
    });
  }

  figures(): RecallFigures {
    const outputs = this.names.map((name, index) => {
      const { absolute, squared, deviation } = this.#sums[index]!;
      const images = this.#images;
      return {
        name,
        images,
        absoluteError: absolute / images,
        squaredError: squared / images,
        variance: deviation / images,
        r2: deviation > 0 ? 1 - squared / deviation : undefined,
      };
    });
    return { balancedAccuracy: undefined, outputs };
  }
}

/** The mean, which of no number is not known. */
export function mean(values: readonly number[]): number | undefined {
  return share(
    values.reduce((sum, value) => sum + value, 0),
    values.length,
  );
}

function share(part: number, all: number): number | undefined {
  return all > 0 ? part / all : undefined;
}

function known(values: readonly (number | undefined)[]): number[] {
  return values.filter((value) => value !== undefined);
}
