import type { Labels } from "./tasks.js";

/** Figures of one class. */
export interface ClassFigures {
  readonly name: string;
  /** Number of photos of the class. */
  readonly images: number;
  /** Number of photos with a correct prediction. */
  readonly right: number;
  /** right / images; undefined without photos of the class. */
  readonly recall: number | undefined;
}

/** Figures of one attribute. */
export interface AttributeFigures {
  readonly name: string;
  /** Number of all photos. */
  readonly images: number;
  /** Number of photos with the attribute. */
  readonly positives: number;
  /** Number of photos with a correct prediction. */
  readonly truePositives: number;
  /** Number of photos without the attribute that were predicted to have it. */
  readonly falsePositives: number;
  /** truePositives / number of photos that were predicted to have the attribute; undefined if this is 0. */
  readonly precision: number | undefined;
  /** truePositives / positives; undefined without positives. */
  readonly recall: number | undefined;
}

/** Figures of one number that a regression predicts. */
export interface RegressionFigures {
  readonly name: string;
  /** Number of all photos or arrays. */
  readonly images: number;
  /** Mean magnitude of the error. */
  readonly absoluteError: number;
  /** Mean square of the error. */
  readonly squaredError: number;
  /** Variance of the labels: the mean squared error of a prediction of their mean. */
  readonly variance: number;
  /** 1 - squaredError / variance: 1 is perfect, 0 is as good as the labels' mean; undefined if all labels are equal. */
  readonly r2: number | undefined;
}

/** Figures by class or attribute. */
export interface RecallFigures {
  /**
   * Mean recall of the classes that have photos; with several attributes the mean, over the attributes that some photos
   * have and others do not have, of (recall + share of correct predictions for photos without it) / 2; undefined
   * without such a class or attribute.
   */
  readonly balancedAccuracy: number | undefined;
  /** With one class for each photo: figures of each class in use, in the order of the outputs. */
  readonly classes?: readonly ClassFigures[];
  /**
   * With one class for each photo: `confusion[label][prediction]`, the number of photos of a class for which a class was
   * predicted, in the order of the outputs.
   */
  readonly confusion?: readonly (readonly number[])[];
  /** With several attributes: figures of each attribute, in the order of the outputs. */
  readonly attributes?: readonly AttributeFigures[];
  /** For a regression: figures of each number, in the order of the outputs. */
  readonly outputs?: readonly RegressionFigures[];
}

/** Counts predictions. */
export interface Tally {
  add(logits: Float32Array, label: Labels): void;
  figures(): RecallFigures;
}

/** Counts predictions by class. */
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

/** Counts predictions by attribute. A label above 0.5 means that the photo has the attribute. */
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

/** Adds up errors by predicted number. */
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

/** Returns the mean, or undefined without numbers. */
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
