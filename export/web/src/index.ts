/** Trains and runs the `.tflite` files of tinytl_tf in a browser; see README.md. */

export { Augmentation, applyChange } from "./augmentation.js";
export type { AugmentationSettings, Change, ColorAmount } from "./augmentation.js";
export type { FileContent } from "./bytes.js";
export type { Engine, EngineOptions, SignatureInfo, TensorInfo, Tensors } from "./engine.js";
export { InputError, RuntimeUnavailable, TinyTLError, TrainingDiverged } from "./errors.js";
export { evaluate } from "./evaluate.js";
export type { EvaluateResult } from "./evaluate.js";
export { IndexedDbStore } from "./indexed-db-store.js";
export { parseManifest } from "./manifest.js";
export type { Manifest } from "./manifest.js";
export { photoId } from "./photo-id.js";
export { holdOut, isHeldOut, splitWarning } from "./photo-set.js";
export type { LabeledPhoto, PhotoSplit } from "./photo-set.js";
export { photoFrom, photoFromFile } from "./photo-source.js";
export { centralBox, modelInput, Photo, resize, shrink } from "./pixels.js";
export type { Box, PixelSource, Size } from "./pixels.js";
export { TrainingPlan } from "./plan.js";
export type { Place, PlanSettings } from "./plan.js";
export type { ProgressStore, StepRecord, TrainingProgress } from "./progress-store.js";
export type { AttributeFigures, ClassFigures, RecallFigures } from "./recall.js";
export { StateFile } from "./state-file.js";
export { TrainableModel } from "./trainable-model.js";
export type { InferResult, LoadOptions, TrainResult } from "./trainable-model.js";
export { Trainer } from "./trainer.js";
export type { RunOptions, TrainerOptions, TrainingResult } from "./trainer.js";
export { WorkerEngine } from "./worker-engine.js";
