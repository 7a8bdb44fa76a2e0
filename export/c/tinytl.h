/**
 * @file tinytl.h
 * @brief A client of files exported by `tinytl export`: it infers and trains.
 *
 * The library needs C11, POSIX, and at run time `libLiteRt.so` of LiteRT 2.1.5
 * or later. It loads that file with dlopen(), so nothing is linked. Its
 * results, and the bytes of its state files, are the same as in the Python
 * client. `docs/formats.md` describes all formats.
 *
 * Errors. Each function that can fail returns a ::tinytl_status, and takes a
 * ::tinytl_error that it fills with a sentence: the expected value, the actual
 * value, and the remedy. Pass NULL if only the status matters. A function that
 * fails leaves the model, the caller's results and existing files as they were.
 *
 * Threads. The library has no global state. Different models may be used by
 * different threads at once. One model, and one ::tinytl_error, may be used by
 * one thread at a time: where several share a model, put a lock around the
 * calls. Where an argument is a pointer to memory of the caller, nothing keeps
 * it after the call.
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

/** Axes that an array can have. */
#define TINYTL_MOST_AXES 3

/** Bytes of an error's text, its end included. Longer texts are cut. */
#define TINYTL_TEXT_SIZE 512

/** Result of a function. */
typedef enum {
  TINYTL_OK = 0,            /**< All went well. */
  TINYTL_ERROR_ARGUMENT,    /**< An argument has a wrong size or value. */
  TINYTL_ERROR_MEMORY,      /**< There is not enough memory. */
  TINYTL_ERROR_FILE,        /**< A file cannot be read or written. */
  TINYTL_ERROR_LIBRARY,     /**< libLiteRt.so is missing or too old. */
  TINYTL_ERROR_RUNTIME,     /**< A call of LiteRT failed. */
  TINYTL_ERROR_MODEL,       /**< The `.tflite` is invalid. */
  TINYTL_ERROR_MANIFEST,    /**< The manifest is wrong, or another file's. */
  TINYTL_ERROR_MAGIC,       /**< State: the file is of another kind. */
  TINYTL_ERROR_VERSION,     /**< State: the version is unknown. */
  TINYTL_ERROR_LENGTH,      /**< State: the file is cut or too long. */
  TINYTL_ERROR_CHECKSUM,    /**< State: a byte has changed. */
  TINYTL_ERROR_FINGERPRINT, /**< State: it belongs to another model. */
  TINYTL_ERROR_COUNT,       /**< State: the model has more or fewer values. */
  TINYTL_ERROR_NAMES,       /**< State: names of classes cannot be used. */
  TINYTL_ERROR_NOT_FINITE,  /**< State: a value is infinite or no number. */
  TINYTL_ERROR_OUTPUTS,     /**< State: it is of more or fewer classes. */
  TINYTL_ERROR_REFUSED      /**< State: no training leads to these values. */
} tinytl_status;

/** An error, in words. After a success the text is empty. */
typedef struct {
  tinytl_status status;        /**< Result of the function. */
  char text[TINYTL_TEXT_SIZE]; /**< One sentence without a line's end. */
} tinytl_error;

/** Whether LiteRT uses XNNPACK: faster, and more memory. */
typedef enum {
  TINYTL_XNNPACK_AS_EXPORTED = 0, /**< As in the manifest; without one: on. */
  TINYTL_XNNPACK_ON,
  TINYTL_XNNPACK_OFF
} tinytl_xnnpack;

/** How to open a model. Zeros are the defaults: `tinytl_options o = {0};`. */
typedef struct {
  /** Path of libLiteRt.so. NULL: `libLiteRt.so`, where the loader looks. */
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
  TINYTL_TASK_MULTILABEL,         /**< Several attributes: there, or not. */
  TINYTL_TASK_REGRESSION          /**< A number for each output. */
} tinytl_task;

/** How the learning rate changes over the steps of a training. */
typedef enum {
  TINYTL_SCHEDULE_COSINE = 0, /**< Step k of n: (1 + cos(pi k / n)) / 2. */
  TINYTL_SCHEDULE_CONSTANT
} tinytl_schedule;

/** How the colors of training images are changed; see docs/formats.md. */
typedef enum {
  TINYTL_COLOR_NONE = 0,
  TINYTL_COLOR_TF,   /**< Brightness and saturation. */
  TINYTL_COLOR_TORCH /**< These, contrast and hue. */
} tinytl_color;

/**
 * How the model was trained, from its manifest. A program that trains uses
 * it by default; the library itself does not act on it. `central_fraction`,
 * `crop`, `flip` and `color` are for images: a model of arrays does not have
 * them, and arrays are trained on unchanged.
 */
typedef struct {
  double learning_rate;     /**< Of the first step. 1e-3 without a manifest. */
  tinytl_schedule schedule; /**< Cosine if the manifest lacks it. */
  double central_fraction;  /**< Part of a photo's side that is evaluated, in
                                 (0, 1]. 0.875 without a manifest. */
  uint64_t split_seed;      /**< Chooses the photos that are held out. */
  bool split_by_content;    /**< Whether its photos were held out by content.
                                 Otherwise photos held out now may be among
                                 those that the model was trained on. */
  bool crop;                /**< Whether to crop training images at random. */
  double crop_area[2];      /**< Least and largest part of the area. */
  double crop_aspect[2];    /**< Least and largest width / height. */
  bool flip;                /**< Whether to mirror half of the images. */
  tinytl_color color;       /**< How to change their colors. */
} tinytl_settings;

/** An open model. */
typedef struct tinytl_model tinytl_model;

/**
 * Description of an open model. Classes, spare classes and labels change when
 * a class is added, a state is restored, or the model is reset.
 */
typedef struct {
  int32_t height; /**< H: rows of an image; 0 where the model takes arrays. */
  int32_t width;  /**< W: pixels of a row; 0 where the model takes arrays. */
  int32_t array_rank; /**< Axes of an array, 1 to 3; 0 where the model takes
                           images. */
  int32_t array_shape[TINYTL_MOST_AXES]; /**< Their sizes; 0 behind them. */
  size_t array_size;   /**< Values of an array; 0 where it takes images. */
  int32_t sample_rate; /**< Where an array is a waveform, samples a second:
                            its first axis is time, its values are from -1 to
                            1. Otherwise 0. */
  int32_t outputs;     /**< C: outputs of the file, spare ones included. */
  int32_t classes; /**< Classes in use, attributes, or numbers of a regression:
                        the first outputs. */
  int32_t spare_classes; /**< Classes that tinytl_add_class() can still add. */
  int32_t batch_size;    /**< B: images, or arrays, of a training step. */
  size_t image_bytes;    /**< H * W * 3; 0 where the model takes arrays. */
  size_t state_size;     /**< N: float32 values of the state. */
  tinytl_task task;      /**< Task of the labels. */
  bool xnnpack;          /**< Whether XNNPACK is used. */
  bool has_manifest;     /**< Whether there is a manifest, which then fits. */
  float learning_rate;   /**< That suits the first step, from the manifest;
                              without one 1e-3. */
  tinytl_settings settings; /**< How the model was trained. */
  /** Names of the classes in use, in UTF-8, in the order of the outputs, from
      the manifest or from the `.tflite` itself, and of those added. NULL where
      neither has them. */
  const char *const *labels;
  /** Belongs to the `.tflite`; state files bear it. */
  uint8_t fingerprint[TINYTL_FINGERPRINT_SIZE];
} tinytl_info;

/** Result of a training step. */
typedef struct {
  float loss;     /**< Mean loss of the batch, before the step. */
  float accuracy; /**< Share of the batch that was right, before the step; of a
                       regression the share of numbers that were at most 0.5
                       away from their labels, a rough sign of progress. */
  bool applied;   /**< False: the loss or a gradient was not finite, and the
                       step changed nothing. */
} tinytl_step;

/**
 * @brief Opens a `.tflite` file.
 *
 * The file stays mapped while the model is open: replace it by renaming another
 * over it, and do not write into it. Names, types and shapes of all signatures
 * are checked, and every size in ::tinytl_info comes from them.
 *
 * The file must have the SHA-256 in its manifest, so that every changed byte is
 * found. Without a manifest it is refused unless the options set `trust`:
 * LiteRT's verifier then checks only its structure. The names of the
 * classes, whether to use XNNPACK, and ::tinytl_settings come from the manifest
 * too.
 *
 * libLiteRt.so stays in the process after the model is closed.
 *
 * @param path     The file.
 * @param options  How to open it, or NULL for the defaults.
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
 * @brief Answers for one image.
 *
 * @param image          Raw RGB pixels of 0 to 255, H rows from the top.
 * @param image_bytes    Must be `info->image_bytes`.
 * @param logits         Gets a value for each class in use, or NULL. Of a
 *                       regression these are the numbers that are predicted.
 * @param probabilities  Gets a value for each class in use, or NULL. Of a
 *                       regression the same numbers: there are no
 *                       probabilities.
 * @param classes        Must be `info->classes`, the size of both arrays.
 * @param error          Gets the error, or NULL.
 */
tinytl_status tinytl_infer(tinytl_model *model, const uint8_t *image,
                           size_t image_bytes, float *logits,
                           float *probabilities, size_t classes,
                           tinytl_error *error);

/**
 * @brief Answers for one array.
 *
 * @param array  Finite numbers in row-major order, of `info->array_shape`, as
 *               they are: scaling and features are inside of the file.
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
 * @param images         B images, one after the other, each as above.
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
 * @param labels       For each of the B images C values from 0 to 1: 1 where
 *                     the image has the attribute.
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
 * @param labels       For each of the B images C finite numbers. They should
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
 * refused before anything runs. Everything else is as in the function of
 * images.
 * @{
 */

/** Takes one training step of a classification: tinytl_train() of arrays. */
tinytl_status tinytl_train_arrays(tinytl_model *model, const float *arrays,
                                  size_t size, const int32_t *labels,
                                  size_t label_count, float learning_rate,
                                  tinytl_step *step, tinytl_error *error);

/** The same of attributes: tinytl_train_multilabel() of arrays. */
tinytl_status tinytl_train_arrays_multilabel(
    tinytl_model *model, const float *arrays, size_t size, const float *labels,
    size_t label_count, float learning_rate, tinytl_step *step,
    tinytl_error *error);

/** The same of numbers: tinytl_train_regression() of arrays. */
tinytl_status tinytl_train_arrays_regression(
    tinytl_model *model, const float *arrays, size_t size, const float *labels,
    size_t label_count, float learning_rate, tinytl_step *step,
    tinytl_error *error);

/** @} */

/**
 * @brief Makes the array of a waveform out of a recording.
 *
 * A sample becomes itself divided by 32768. A recording that is too long loses
 * as much at its start as at its end, one that is too short gets zeros in the
 * same way; of an odd number one more at its end.
 *
 * @param model        One with a `sample_rate`.
 * @param samples      In the order of time; where the array has more axes, all
 *                     values of one point of time after the other.
 * @param count        How many; whole points of time, at least one.
 * @param sample_rate  Must be `info->sample_rate`: nothing is resampled.
 * @param array        Gets the values.
 * @param size         Must be `info->array_size`.
 * @param error        Gets the error, or NULL.
 */
tinytl_status tinytl_fit_waveform(const tinytl_model *model,
                                  const int16_t *samples, size_t count,
                                  int32_t sample_rate, float *array,
                                  size_t size, tinytl_error *error);

/** How well one output of a regression predicts. */
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
 * @param outputs      The same.
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
 * state files. Needs a manifest, which has the place of the classifier in the
 * state.
 *
 * @param name   1 to 255 bytes of UTF-8, without control characters and ends
 *               of lines, not invisible; no other class's. It is not changed:
 *               bring it to Unicode's normal form NFC before if it must match
 *               names of other clients. All added names together
 *               have at most 2^20 bytes.
 * @param label  Gets the label of the class, or NULL.
 * @param error  Gets the error, or NULL.
 */
tinytl_status tinytl_add_class(tinytl_model *model, const char *name,
                               int32_t *label, tinytl_error *error);

/**
 * @brief Copies all that training changes.
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
 * @param state  N finite values, as from tinytl_get_state().
 * @param count  Must be N.
 * @param error  Gets the error, or NULL.
 */
tinytl_status tinytl_set_state(tinytl_model *model, const float *state,
                               size_t count, tinytl_error *error);

/**
 * @brief Writes the state to a `.tinytl` file, with the names of added classes.
 *
 * See tinytl_write_state() for the writing of the file.
 */
tinytl_status tinytl_save(tinytl_model *model, const char *path,
                          tinytl_error *error);

/**
 * @brief Sets the state, and the added classes, from a `.tinytl` file.
 *
 * @return TINYTL_OK, or the error of the file; the model is then not
 *         changed.
 */
tinytl_status tinytl_restore(tinytl_model *model, const char *path,
                             tinytl_error *error);

/** Puts the exported state and classes back. */
tinytl_status tinytl_reset(tinytl_model *model, tinytl_error *error);

/** Returns the name of a status, "TINYTL_ERROR_CHECKSUM" for example. */
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
 * tinytl_add_class(), and none may be there twice; they are returned byte for
 * byte.
 *
 * @param bytes        The complete content.
 * @param length       Its length.
 * @param fingerprint  The model's, TINYTL_FINGERPRINT_SIZE bytes.
 * @param state        Gets the values; untouched if the file is refused.
 * @param count        Number of values of the model.
 * @param names        Gets the names of added classes, one on each line, to be
 *                     freed with free(); NULL without classes. May be
 * NULL.
 * @param error        Gets the error, or NULL.
 */
tinytl_status tinytl_parse_state(const uint8_t *bytes, size_t length,
                                 const uint8_t *fingerprint, float *state,
                                 size_t count, char **names,
                                 tinytl_error *error);

/** Reads a `.tinytl` file; otherwise as tinytl_parse_state(). */
tinytl_status tinytl_read_state(const char *path, const uint8_t *fingerprint,
                                float *state, size_t count, char **names,
                                tinytl_error *error);

/**
 * @brief Writes a `.tinytl` file; an existing one is replaced.
 *
 * The content goes into `PATH.tmp`, is flushed to the disk and takes the name
 * in one step: whoever reads the file, also after a power cut, finds the old
 * content or the new one. A `PATH.tmp` that a killed process left is used
 * again. Of a symbolic link the file that it leads to is replaced.
 *
 * @param path         The file.
 * @param fingerprint  The model's, TINYTL_FINGERPRINT_SIZE bytes.
 * @param state        Finite values.
 * @param count        How many, at most 2^32 - 1.
 * @param names        Names of added classes, one on each line, or NULL.
 * @param error        Gets the error, or NULL.
 */
tinytl_status tinytl_write_state(const char *path, const uint8_t *fingerprint,
                                 const float *state, size_t count,
                                 const char *names, tinytl_error *error);

/** @} */

#ifdef __cplusplus
}
#endif

#endif /* TINYTL_H */
