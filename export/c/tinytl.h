/**
 * @file tinytl.h
 * @brief Runs and trains models from `tinytl export`.
 *
 * The library needs C11, POSIX, and at run time `libLiteRt.so` of LiteRT 2.1.5
 * or later. It loads that file with dlopen(), so nothing is linked. Its
 * results, and the bytes of its state files, are the same as in the Python
 * client. `docs/formats.md` describes all formats.
 *
 * Errors. Each function that can fail returns a ::tinytl_status, and takes a
 * ::tinytl_error that it fills with a sentence: the expected value, the actual
 * value, and the remedy. Pass NULL if only the status matters. A function that
 * fails does not change the model, the caller's results or existing files.
 *
 * Threads. The library has no global state. Different models may be used by
 * different threads at once. A model and a ::tinytl_error may be used by one
 * thread at a time: if several threads share a model, lock around the calls.
 * The library does not keep pointers to the caller's memory after a call.
 *
 * Example:
 * @code
 *   tinytl_model *model;
 *   tinytl_error error;
 *   tinytl_step step;
 *   if (tinytl_open("model.tflite", NULL, &model, &error) != TINYTL_OK ||
 *       tinytl_train(model, images, image_bytes, labels, count, 1e-3F, &step,
 *                    &error) != TINYTL_OK ||
 *       tinytl_save(model, "mine.tinytl", &error) != TINYTL_OK) {
 *     fprintf(stderr, "%s\n", error.text);
 *   }
 *   tinytl_close(model);
 * @endcode
 */

#ifndef TINYTL_H
#define TINYTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Bytes of a fingerprint: the SHA-256 of a `.tflite` file. */
#define TINYTL_FINGERPRINT_SIZE 32

/** Largest number of axes of an array. */
#define TINYTL_MOST_AXES 3

/** Bytes of an error's text, including the final null. Longer texts are cut. */
#define TINYTL_TEXT_SIZE 512

/** Result of a function. */
typedef enum {
  TINYTL_OK = 0,            /**< Success. */
  TINYTL_ERROR_ARGUMENT,    /**< An argument has an invalid size or value. */
  TINYTL_ERROR_MEMORY,      /**< There is not enough memory. */
  TINYTL_ERROR_FILE,        /**< A file cannot be read or written. */
  TINYTL_ERROR_LIBRARY,     /**< libLiteRt.so is missing or too old. */
  TINYTL_ERROR_RUNTIME,     /**< A call of LiteRT failed. */
  TINYTL_ERROR_MODEL,       /**< The `.tflite` is invalid. */
  TINYTL_ERROR_MANIFEST,    /**< The manifest is invalid, or belongs to another
                               file. */
  TINYTL_ERROR_MAGIC,       /**< State: the file is not a state file. */
  TINYTL_ERROR_VERSION,     /**< State: the version is unknown. */
  TINYTL_ERROR_LENGTH,      /**< State: the file is truncated or too long. */
  TINYTL_ERROR_CHECKSUM,    /**< State: the checksum differs. */
  TINYTL_ERROR_FINGERPRINT, /**< State: it belongs to another model. */
  TINYTL_ERROR_COUNT, /**< State: the model has a different number of values. */
  TINYTL_ERROR_NAMES, /**< State: names of classes are invalid. */
  TINYTL_ERROR_NOT_FINITE, /**< State: a value is infinite or NaN. */
  TINYTL_ERROR_OUTPUTS,    /**< State: it has a different number of classes. */
  TINYTL_ERROR_REFUSED     /**< State: no training leads to these values. */
} tinytl_status;

/** An error with its text. After a success the text is empty. */
typedef struct {
  tinytl_status status;        /**< Result of the function. */
  char text[TINYTL_TEXT_SIZE]; /**< One sentence on one line. */
} tinytl_error;

/** Whether LiteRT uses XNNPACK, which is faster and needs more memory. */
typedef enum {
  TINYTL_XNNPACK_AS_EXPORTED = 0, /**< As in the manifest; without one: on. */
  TINYTL_XNNPACK_ON,
  TINYTL_XNNPACK_OFF
} tinytl_xnnpack;

/** Options for a model. Zeros are the defaults: `tinytl_options o = {0};`. */
typedef struct {
  /** Path of libLiteRt.so. NULL: the loader searches for `libLiteRt.so`. */
  const char *library;
  /** Path of the manifest. NULL: the one of the same name next to the `.tflite`
      (`model.manifest.json`). */
  const char *manifest;
  /** Threads of LiteRT's kernels, 1 to 64. 0: two, as in Python. */
  int threads;
  /** Whether to use XNNPACK. */
  tinytl_xnnpack xnnpack;
  /** Whether to open a file that has no manifest. Its checksum is in the
      manifest: without it, LiteRT may crash on a file that is damaged, or
      compute something else. A manifest that is there is always checked. */
  bool trust;
} tinytl_options;

/** Task of the labels. */
typedef enum {
  TINYTL_TASK_CLASSIFICATION = 0, /**< One class. */
  TINYTL_TASK_MULTILABEL,         /**< Any number of attributes. */
  TINYTL_TASK_REGRESSION          /**< A number for each output. */
} tinytl_task;

/** Schedule of the learning rate. */
typedef enum {
  TINYTL_SCHEDULE_COSINE = 0, /**< Step k of n: (1 + cos(pi k / n)) / 2. */
  TINYTL_SCHEDULE_CONSTANT
} tinytl_schedule;

/** Color changes of training images; see docs/formats.md. */
typedef enum {
  TINYTL_COLOR_NONE = 0,
  TINYTL_COLOR_TF,   /**< Brightness and saturation. */
  TINYTL_COLOR_TORCH /**< Brightness, contrast, saturation and hue. */
} tinytl_color;

/**
 * Settings with which the model was trained, from its manifest. A program that
 * trains uses them by default; the library itself does not. `central_fraction`,
 * `crop`, `flip` and `color` are for images: a model of arrays does not have
 * them, and arrays are never changed.
 */
typedef struct {
  double learning_rate;     /**< Learning rate of the first step. 1e-3 without a
                               manifest. */
  tinytl_schedule schedule; /**< Cosine if the manifest lacks it. */
  double central_fraction; /**< Fraction of a photo's side that is evaluated, in
                                (0, 1]. 0.875 without a manifest. */
  uint64_t split_seed;     /**< Seed of the choice of held-out photos. */
  bool split_by_content;   /**< Whether photos were held out by content.
                                Otherwise photos held out now may be among
                                those that the model was trained on. */
  bool crop;               /**< Whether to crop training images at random. */
  double crop_area[2];     /**< Smallest and largest fraction of the area. */
  double crop_aspect[2];   /**< Smallest and largest width / height. */
  bool flip;               /**< Whether to mirror half of the images. */
  tinytl_color color;      /**< Color changes. */
} tinytl_settings;

/** An open model. */
typedef struct tinytl_model tinytl_model;

/**
 * Description of an open model. Classes, spare classes and labels change when
 * a class is added, a state is restored, or the model is reset.
 */
typedef struct {
  int32_t height;     /**< H: rows of an image; 0 if the model takes arrays. */
  int32_t width;      /**< W: pixels of a row; 0 if the model takes arrays. */
  int32_t array_rank; /**< Axes of an array, 1 to 3; 0 if the model takes
                           images. */
  int32_t array_shape[TINYTL_MOST_AXES]; /**< Sizes of the axes; the remaining
                                            elements are 0. */
  size_t array_size;   /**< Values of an array; 0 if the model takes images. */
  int32_t sample_rate; /**< If an array is a waveform, samples per second:
                            its first axis is time, its values are from -1 to
                            1. Otherwise 0. */
  int32_t outputs;     /**< C: outputs of the file, including spare ones. */
  int32_t classes; /**< Classes in use, attributes, or numbers of a regression:
                        the first outputs. */
  int32_t spare_classes; /**< Classes that tinytl_add_class() can still add. */
  int32_t batch_size;    /**< B: images or arrays in a training step. */
  size_t image_bytes;    /**< H * W * 3; 0 if the model takes arrays. */
  size_t state_size;     /**< N: number of float32 values in the state. */
  tinytl_task task;      /**< Task of the labels. */
  bool xnnpack;          /**< Whether XNNPACK is used. */
  bool has_manifest;     /**< Whether the model was opened with a manifest. */
  float learning_rate; /**< Learning rate of the first step, from the manifest;
                            without one 1e-3. */
  tinytl_settings settings; /**< How the model was trained. */
  /** Names of the classes in use, in UTF-8, in the order of the outputs, from
      the manifest or the `.tflite`, followed by added classes. NULL if
      neither has them. */
  const char *const *labels;
  /** SHA-256 of the `.tflite`; state files have it. */
  uint8_t fingerprint[TINYTL_FINGERPRINT_SIZE];
} tinytl_info;

/** Result of a training step. */
typedef struct {
  float loss;     /**< Mean loss of the batch, before the step. */
  float accuracy; /**< Share of correct predictions before the step; for a
                       regression the share of numbers that were at most 0.5
                       away from their labels, a rough sign of progress. */
  bool applied;   /**< False if the loss or a gradient was not finite, and the
                       step changed nothing. */
} tinytl_step;

/**
 * @brief Opens a `.tflite` file.
 *
 * The file is mapped while the model is open: do not write to it; to replace
 * it, rename another file to its name. Names, types and shapes of all
 * signatures are checked, and all sizes in ::tinytl_info come from them.
 *
 * The file must have the SHA-256 in its manifest, so that every changed byte is
 * detected. Without a manifest it is refused unless the options set `trust`:
 * then LiteRT's verifier checks only its structure. The names of the classes,
 * whether to use XNNPACK, and ::tinytl_settings come from the manifest too.
 *
 * libLiteRt.so stays in the process after the model is closed.
 *
 * @param path     The file.
 * @param options  Options, or NULL for the defaults.
 * @param model    Gets the model, to be closed with tinytl_close(), or NULL if
 *                 it cannot be opened.
 * @param error    Gets the error, or NULL.
 */
tinytl_status tinytl_open(const char *path, const tinytl_options *options,
                          tinytl_model **model, tinytl_error *error);

/** Closes a model and frees all of its memory. NULL is allowed. */
void tinytl_close(tinytl_model *model);

/** Returns the description of a model; it lives until the model is closed. */
const tinytl_info *tinytl_get_info(const tinytl_model *model);

/**
 * @brief Runs inference on one image.
 *
 * @param image          Raw RGB values from 0 to 255, H rows from the top.
 * @param image_bytes    Must be `info->image_bytes`.
 * @param logits         Gets a value for each class in use, or NULL. For a
 *                       regression these are the predicted numbers.
 * @param probabilities  Gets a value for each class in use, or NULL. For a
 *                       regression the same as `logits`: it has no
 *                       probabilities.
 * @param classes        Must be `info->classes`, the size of both arrays.
 * @param error          Gets the error, or NULL.
 */
tinytl_status tinytl_infer(tinytl_model *model, const uint8_t *image,
                           size_t image_bytes, float *logits,
                           float *probabilities, size_t classes,
                           tinytl_error *error);

/**
 * @brief Runs inference on one array.
 *
 * @param array  Raw finite numbers of `info->array_shape` in row-major order:
 *               scaling and feature extraction are inside the file.
 * @param size   Must be `info->array_size`.
 *
 * Everything else is as in tinytl_infer().
 */
tinytl_status tinytl_infer_array(tinytl_model *model, const float *array,
                                 size_t size, float *logits,
                                 float *probabilities, size_t classes,
                                 tinytl_error *error);

/**
 * @brief Takes one training step of a classification of images.
 *
 * @param images         B images, one after the other, each as in
 *                       tinytl_infer().
 * @param image_bytes    Must be `B * info->image_bytes`.
 * @param labels         The class of each image, from 0 to `info->classes` - 1.
 * @param label_count    Must be B.
 * @param learning_rate  Finite, not negative.
 * @param step           Gets the result, or NULL.
 * @param error          Gets the error, or NULL.
 */
tinytl_status tinytl_train(tinytl_model *model, const uint8_t *images,
                           size_t image_bytes, const int32_t *labels,
                           size_t label_count, float learning_rate,
                           tinytl_step *step, tinytl_error *error);

/**
 * @brief Takes one training step of a multilabel model of images.
 *
 * @param labels       C values from 0 to 1 for each of the B images: 1 if the
 *                     image has the attribute.
 * @param label_count  Must be `B * C`.
 *
 * Everything else is as in tinytl_train().
 */
tinytl_status tinytl_train_multilabel(tinytl_model *model,
                                      const uint8_t *images, size_t image_bytes,
                                      const float *labels, size_t label_count,
                                      float learning_rate, tinytl_step *step,
                                      tinytl_error *error);

/**
 * @brief Takes one training step of a regression of images.
 *
 * @param labels       C finite numbers for each of the B images. They should
 *                     have a standard deviation of about 1.
 * @param label_count  Must be `B * C`.
 *
 * Everything else is as in tinytl_train().
 */
tinytl_status tinytl_train_regression(tinytl_model *model,
                                      const uint8_t *images, size_t image_bytes,
                                      const float *labels, size_t label_count,
                                      float learning_rate, tinytl_step *step,
                                      tinytl_error *error);

/**
 * @name Training on arrays
 *
 * `arrays` has B arrays, one after the other, each as in tinytl_infer_array(),
 * and `size` must be `B * info->array_size`. A value that is not finite is
 * refused before anything runs. Everything else is as in the function for
 * images.
 * @{
 */

/** Takes a training step of a classification: tinytl_train() for arrays. */
tinytl_status tinytl_train_arrays(tinytl_model *model, const float *arrays,
                                  size_t size, const int32_t *labels,
                                  size_t label_count, float learning_rate,
                                  tinytl_step *step, tinytl_error *error);

/** Takes a training step of attributes: tinytl_train_multilabel() for arrays.
 */
tinytl_status tinytl_train_arrays_multilabel(
    tinytl_model *model, const float *arrays, size_t size, const float *labels,
    size_t label_count, float learning_rate, tinytl_step *step,
    tinytl_error *error);

/** Takes a training step of a regression: tinytl_train_regression() for arrays.
 */
tinytl_status tinytl_train_arrays_regression(
    tinytl_model *model, const float *arrays, size_t size, const float *labels,
    size_t label_count, float learning_rate, tinytl_step *step,
    tinytl_error *error);

/** @} */

/**
 * @brief Converts a recording to the input of a model of waveforms.
 *
 * Samples are divided by 32768. A recording that is too long loses the same
 * number of samples at its start and its end (one more at its end if the number
 * is odd); a recording that is too short is padded with zeros in the same way.
 *
 * @param model        A model with a `sample_rate`.
 * @param samples      Samples in order of time; if the array has more axes, all
 *                     values of a point in time are adjacent.
 * @param count        Number of samples; complete points in time, at least one.
 * @param sample_rate  Must be `info->sample_rate`: recordings are not
 *                     resampled.
 * @param array        Gets the values.
 * @param size         Must be `info->array_size`.
 * @param error        Gets the error, or NULL.
 */
tinytl_status tinytl_fit_waveform(const tinytl_model *model,
                                  const int16_t *samples, size_t count,
                                  int32_t sample_rate, float *array,
                                  size_t size, tinytl_error *error);

/** Figures of an output of a regression. */
typedef struct {
  double absolute_error; /**< Mean magnitude of the error. */
  double squared_error;  /**< Mean square of the error. The loss is the mean of
                              this over the outputs. */
  double r2;             /**< Share of the labels' variance that is predicted:
                              1 is all, 0 is as good as their mean. NaN if the
                              labels are all equal. */
  double within;         /**< Share of errors of at most 0.5. The accuracy is
                              the mean of this over the outputs. */
} tinytl_regression_figures;

/**
 * @brief Measures the predictions of a regression, as the Python client does.
 *
 * @param predictions  The `logits` of tinytl_infer() or tinytl_infer_array():
 *                     `outputs` numbers for each example.
 * @param labels       Finite numbers in the same order.
 * @param examples     At least 1.
 * @param outputs      At least 1.
 * @param figures      Gets the figures of each output.
 * @param error        Gets the error, or NULL.
 */
tinytl_status tinytl_evaluate_regression(const float *predictions,
                                         const float *labels, size_t examples,
                                         size_t outputs,
                                         tinytl_regression_figures *figures,
                                         tinytl_error *error);

/**
 * @brief Gives a spare output to a new class, which then trains like all other
 * classes.
 *
 * Its weights start as the mean over the classes in use. Its name is stored in
 * state files. Needs a manifest, which has the position of the classifier in
 * the state.
 *
 * @param name   1 to 255 bytes of UTF-8, without control characters and line
 *               breaks, not invisible, and different from all other names. It
 *               is not changed: convert it to Unicode's normal form NFC first
 *               if it must match names of other clients. All added names
 *               together must have at most 2^20 bytes.
 * @param label  Gets the label of the class, or NULL.
 * @param error  Gets the error, or NULL.
 */
tinytl_status tinytl_add_class(tinytl_model *model, const char *name,
                               int32_t *label, tinytl_error *error);

/**
 * @brief Copies all values that training changes.
 *
 * @param state  Gets N values.
 * @param count  Must be N.
 * @param error  Gets the error, or NULL.
 */
tinytl_status tinytl_get_state(tinytl_model *model, float *state, size_t count,
                               tinytl_error *error);

/**
 * @brief Replaces all trained values. The classes in use stay the same.
 *
 * @param state  N finite values from tinytl_get_state().
 * @param count  Must be N.
 * @param error  Gets the error, or NULL.
 */
tinytl_status tinytl_set_state(tinytl_model *model, const float *state,
                               size_t count, tinytl_error *error);

/**
 * @brief Writes the state to a `.tinytl` file, with the names of added classes.
 *
 * The file is written as by tinytl_write_state().
 */
tinytl_status tinytl_save(tinytl_model *model, const char *path,
                          tinytl_error *error);

/**
 * @brief Sets the state, and the added classes, from a `.tinytl` file.
 *
 * @return TINYTL_OK, or the error of the file; then the model is not changed.
 */
tinytl_status tinytl_restore(tinytl_model *model, const char *path,
                             tinytl_error *error);

/** Restores the exported state and classes. */
tinytl_status tinytl_reset(tinytl_model *model, tinytl_error *error);

/** Returns the name of a status, for example "TINYTL_ERROR_CHECKSUM". */
const char *tinytl_status_name(tinytl_status status);

/**
 * @name State files without a model
 * These functions do not need LiteRT.
 * @{
 */

/**
 * @brief Reads a state from the bytes of a `.tinytl` file.
 *
 * The checks are, in this order: magic, version, length, checksum, fingerprint,
 * count, names, and that each value is finite. Names are checked as in
 * tinytl_add_class(), and must differ; they are returned byte for byte.
 *
 * @param bytes        The complete content.
 * @param length       Length of the content.
 * @param fingerprint  The model's, TINYTL_FINGERPRINT_SIZE bytes.
 * @param state        Gets the values; not changed if the file is refused.
 * @param count        Number of values in the state of the model.
 * @param names        Gets the names of added classes, one on each line, to be
 *                     freed with free(); NULL without classes. May be NULL.
 * @param error        Gets the error, or NULL.
 */
tinytl_status tinytl_parse_state(const uint8_t *bytes, size_t length,
                                 const uint8_t *fingerprint, float *state,
                                 size_t count, char **names,
                                 tinytl_error *error);

/** Reads a `.tinytl` file; everything else is as in tinytl_parse_state(). */
tinytl_status tinytl_read_state(const char *path, const uint8_t *fingerprint,
                                float *state, size_t count, char **names,
                                tinytl_error *error);

/**
 * @brief Writes a `.tinytl` file; an existing one is replaced.
 *
 * The content is written to `PATH.tmp`, flushed to the disk and renamed in one
 * step: a reader always sees the old or the new content, even after a power
 * failure. A `PATH.tmp` that a killed process left is reused. If the path is a
 * symbolic link, its target is replaced.
 *
 * @param path         The file.
 * @param fingerprint  The model's, TINYTL_FINGERPRINT_SIZE bytes.
 * @param state        Finite values.
 * @param count        Number of values, at most 2^32 - 1.
 * @param names        Names of added classes, one on each line, or NULL.
 * @param error        Gets the error, or NULL.
 */
tinytl_status tinytl_write_state(const char *path, const uint8_t *fingerprint,
                                 const float *state, size_t count,
                                 const char *names, tinytl_error *error);

/**
 * @brief Moves a state to a new export of the same network, for example with
 * another batch size or int8 kernels, as `tinytl move-state` does.
 *
 * Variables are matched by name, and the optimizer's slots restart. Classes,
 * frozen weights and trained variables must be the same. The new file has the
 * same bytes in all clients, and is written as by tinytl_write_state().
 *
 * @param path           The `.tinytl` file.
 * @param from_manifest  Path of the manifest of the model that the state was
 *                       saved from.
 * @param to_manifest    Path of the manifest of the new model.
 * @param output         The `.tinytl` file to write.
 * @param error          Gets the error, or NULL.
 */
tinytl_status tinytl_move_state(const char *path, const char *from_manifest,
                                const char *to_manifest, const char *output,
                                tinytl_error *error);

/** @} */

#ifdef __cplusplus
}
#endif

#endif /* TINYTL_H */
