import { InputError } from "./errors.js";
import { AttributeTally, ClassTally } from "./recall.js";
import type { Tally } from "./recall.js";

/** Labels of images: a class each, or C numbers from 0 to 1 each, one image after the other. */
export type Labels = Int32Array | Float32Array | readonly number[];

/** What a label is: loss, accuracy and validity, as `tinytl_tf/tasks.py` has them. */
export interface Task {
  /** Name in the manifest. */
  readonly name: "classification" | "multilabel";
  /** Type of the labels in the signature `train`. */
  readonly labelDtype: "int32" | "float32";
  /** Numbers that one image's label has. */
  labelLength(classes: number): number;
  /** Checks the labels of `count` images. */
  checkLabels(labels: Labels, count: number, classes: number): void;
  /** Cross-entropy of one image, without label smoothing. */
  loss(logits: Float32Array, label: Labels): number;
  /** How much of one image's answer is right, 0 to 1. */
  correct(logits: Float32Array, label: Labels): number;
  /** Cross-entropy of a guess that makes no difference between the classes. */
  uniformLoss(classes: number): number;
  /** Counts answers by class or attribute. */
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
  uniformLoss: (classes) => Math.log(classes),
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
  uniformLoss: () => Math.LN2,
  tally: (names) => new AttributeTally(names),
};

/** Name -> task. */
export const TASKS = { classification, multilabel } as const;
