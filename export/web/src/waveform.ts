import { InputError } from "./errors.js";
import type { TrainableModel } from "./trainable-model.js";

/** Divisor of 16-bit samples. */
const FULL_SCALE = 32768;

/**
 * Converts a recording to the input of a model of waveforms, as all clients do. A recording that is too long loses the
 * same number of samples at its start and its end (one more at its end if the number is odd); a recording that is too
 * short is padded with zeros in the same way.
 *
 * @param samples 16-bit samples, or floats from -1 to 1; several channels are interleaved.
 * @param sampleRate Samples per second of the recording, which must be the model's. Resample other recordings first,
 *   for example with an `AudioContext` of that rate.
 * @param model The model.
 * @returns Floats of the model's `inputShape`.
 * @throws InputError If the model takes no waveforms, or there are no samples, or they have another rate.
 *
 * @example
 * const context = new AudioContext({ sampleRate: model.sampleRate });
 * const sound = await context.decodeAudioData(await file.arrayBuffer());
 * const array = waveform(sound.getChannelData(0), sound.sampleRate, model);
 */
export function waveform(
  samples: Int16Array | Float32Array,
  sampleRate: number,
  model: Pick<TrainableModel, "sampleRate" | "inputShape">,
): Float32Array<ArrayBuffer> {
  if (model.sampleRate === 0) {
    throw new InputError(
      "expected a model of waveforms, whose manifest has a sample_rate, got another; pass its arrays unchanged",
    );
  }
  if (sampleRate !== model.sampleRate) {
    throw new InputError(
      `expected a recording of ${model.sampleRate} samples per second, got ${sampleRate}; resample it`,
    );
  }
  const [frames, ...rest] = model.inputShape as readonly [number, ...number[]];
  const channels = rest.reduce((product, size) => product * size, 1);
  if (samples.length === 0 || samples.length % channels !== 0) {
    throw new InputError(
      `expected complete frames of ${channels} samples, got ${samples.length} samples; record again`,
    );
  }
  const surplus = samples.length / channels - frames;
  const [skipped, silent] = [Math.floor(Math.max(surplus, 0) / 2), Math.floor(Math.max(-surplus, 0) / 2)];
  const scale = samples instanceof Int16Array ? 1 / FULL_SCALE : 1;
  const result = new Float32Array(frames * channels);
  samples.subarray(skipped * channels, (skipped + frames) * channels).forEach((sample, index) => {
    result[silent * channels + index] = sample * scale;
  });
  return result;
}
