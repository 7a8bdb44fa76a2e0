import { InputError } from "./errors.js";
import { AttributeTally, ClassTally, RegressionTally } from "./recall.js";
import type { Tally } from "./recall.js";

/**
 * A prediction is correct if it is at most this far from its label; labels should have a standard deviation of about 1.
 */
const RIGHT_WITHIN = 0.5;

/** Labels of images or arrays: the index of a class for each, or C numbers for each, one after the other. */
export type Labels = Int32Array | Float32Array | readonly number[];

/** Label semantics: loss, accuracy and validity, as in `tinytl_tf/tasks.py`. */
export interface Task {
  /** Name in the manifest. */
  readonly name: "classification" | "multilabel" | "regression";
  /** Type of the labels in the signature `train`. */
  readonly labelDtype: "int32" | "float32";
  /** Returns how many numbers the label of an image has. */
  labelLength(classes: number): number;
  /** Checks the labels of `count` images. */
  checkLabels(labels: Labels, count: number, classes: number): void;
  /** Returns the cross-entropy of an image without label smoothing; for a regression the mean of the squared errors. */
  loss(logits: Float32Array, label: Labels): number;
  /** Returns the share of an image's predictions that are correct, 0 to 1. */
  correct(logits: Float32Array, label: Labels): number;
  /** Returns the loss of a uniform guess; for a regression that of the labels' mean. */
  guessLoss(classes: number): number;
  /** Creates the counter of predictions by class, attribute or predicted number. */
  tally(names: readonly string[]): Tally;
}

const classification: Task = {
  name: "classification",
  labelDtype: "int32",
  labelLength: () => 1,
  checkLabels(labels, count, classes) {
    if (labels.length !== count) {
      throw new InputError(`expected ${count} labels, got ${labels.length}; give one class for each image`);
    }
    const outside = labels.find((label) => !Number.isInteger(label) || label < 0 || label >= classes);
    if (outside !== undefined) {
      throw new InputError(`expected labels that are integers from 0 to ${classes - 1}, got ${outside}`);
    }
  },
  loss(logits, label) {
    const largest = Math.max(...logits);
    const sum = logits.reduce((total, logit) => total + Math.exp(logit - largest), 0);
    return Math.log(sum) - (logits[label[0]!]! - largest);
  },
  correct(logits, label) {
    return logits.indexOf(Math.max(...logits)) === label[0] ? 1 : 0;
  },
  guessLoss: (classes) => Math.log(classes),
  tally: (names) => new ClassTally(names),
};

const multilabel: Task = {
  name: "multilabel",
  labelDtype: "float32",
  labelLength: (classes) => classes,
  checkLabels(labels, count, classes) {
    if (labels.length !== count * classes) {
      throw new InputError(
        `expected ${count} x ${classes} labels, got ${labels.length}; give a number for each attribute of each image`,
      );
    }
    const outside = labels.find((label) => !(label >= 0 && label <= 1));
    if (outside !== undefined) {
      throw new InputError(`expected labels from 0 to 1 for each attribute, got ${outside}`);
    }
  },
  loss(logits, label) {
    const losses = Array.from(
      logits,
      (logit, index) => Math.max(logit, 0) - logit * label[index]! + Math.log1p(Math.exp(-Math.abs(logit))),
    );
    return losses.reduce((total, loss) => total + loss, 0) / logits.length;
  },
  correct(logits, label) {
    return logits.filter((logit, index) => logit > 0 === label[index]! > 0.5).length / logits.length;
  },
  guessLoss: () => Math.LN2,
  tally: (names) => new AttributeTally(names),
};

const regression: Task = {
  name: "regression",
  labelDtype: "float32",
  labelLength: (classes) => classes,
  checkLabels(labels, count, classes) {
    if (labels.length !== count * classes) {
      throw new InputError(
        `expected ${count} x ${classes} labels, got ${labels.length}; give a number for each output`,
      );
    }
    const outside = labels.find((label) => !Number.isFinite(Math.fround(label)));
    if (outside !== undefined) {
      throw new InputError(`expected labels that are finite float32 numbers, got ${outside}`);
    }
  },
  loss(predictions, label) {
    return (
      predictions.reduce((sum, value, index) => sum + (value - label[index]!) ** 2, 0) / predictions.length
    );
  },
  correct(predictions, label) {
    const right = predictions.filter((value, index) => Math.abs(value - label[index]!) <= RIGHT_WITHIN);
    return right.length / predictions.length;
  },
  guessLoss: () => 1, // for labels with a standard deviation of 1
  tally: (names) => new RegressionTally(names),
};

/** Tasks by name. */
export const TASKS = { classification, multilabel, regression } as const;
